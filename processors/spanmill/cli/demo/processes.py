"""The processor and the shop's services as processes, in the order in which they come up."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from spanmill.cli.demo import children, shop
from spanmill.cli.demo.children import Child
from spanmill.cli.demo.interruption import Interruption
from spanmill.cli.demo.ports import (
    GRPC,
    HTTP,
    LOOPBACK,
    METRICS,
    Endpoints,
    listen_anywhere,
    port_of,
)
from spanmill.cli.demo.routing import HEALTH_PATH
from spanmill.clock import Clock
from spanmill.errors import StartError

_START_TIMEOUT = 60.0  # seconds; a slow machine with a cold disk needs most of a quarter of it
_POLL = 0.1  # seconds

_CONFIGURATION = """\
receivers:
  otlp:
    grpc: {{endpoint: "{host}:{grpc}"}}
    http: {{endpoint: "{host}:{http}"}}
exporters:
  prometheus: {{endpoint: "{host}:{metrics}"}}
"""


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would lead telemetry or loopback calls elsewhere."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(("OTEL_", "TRACING_")) and not name.lower().endswith("_proxy")
    }


def start_processor(ports: Mapping[str, int], directory: Path) -> Child:
    """The real `spanmill run`, with a configuration that has only the ports in it."""
    configuration = directory / "spanmill.yaml"
    configuration.write_text(
        _CONFIGURATION.format(
            host=LOOPBACK,
            grpc=ports[GRPC],
            http=ports[HTTP],
            metrics=ports[METRICS],
        ),
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "spanmill.cli.demo.lifeline", "spanmill.cli.main"]
    return children.start(
        "processor",
        [*command, "run", "--config", str(configuration)],
        directory=directory,
        environ=clean_environment(os.environ),
    )


def start_services(endpoints: Endpoints, directory: Path) -> dict[str, tuple[Child, str]]:
    """All services of the shop: each one's process and URL.

    Each gets a socket that listens already, so that no port can be lost between its choice and its
    use, and the services can be started in any order.
    """
    listeners = {service.name: listen_anywhere() for service in shop.SERVICES}
    urls = {name: f"http://{LOOPBACK}:{port_of(sock)}" for name, sock in listeners.items()}
    started = {}
    for service in shop.SERVICES:
        with listeners[service.name] as listener:  # closed here: the child alone holds it then
            child = start_service(service, listener, urls, endpoints, directory)
        started[service.name] = (child, urls[service.name])
    return started


def start_service(
    service: shop.Service,
    listener: socket.socket,
    urls: Mapping[str, str],
    endpoints: Endpoints,
    directory: Path,
) -> Child:
    """One service of the shop on a socket that listens; `urls` are those of all services."""
    peers = [f"--peer={peer}={urls[peer]}" for peer in service.peers]
    telemetry = {
        "TRACING_ENABLED": "true",
        "OTEL_SERVICE_NAME": service.name,
        "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=demo",
        "OTEL_EXPORTER_OTLP_PROTOCOL": service.protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": (
            endpoints.grpc if service.protocol == "grpc" else endpoints.http
        ),
        "OTEL_BSP_SCHEDULE_DELAY": "500",  # ms; the default of 5 s would make the screen lag
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
        "OTEL_PYTHON_ASGI_EXCLUDED_URLS": HEALTH_PATH,
    }
    return children.start(
        service.name,
        [
            *(sys.executable, "-m", "spanmill.cli.demo.service", service.name),
            *("--socket", str(listener.fileno()), *peers),
        ],
        directory=directory,
        environ={**clean_environment(os.environ), **telemetry},
        pass_fds=[listener.fileno()],
    )


def wait_until_up(
    child: Child,
    url: str,
    *,
    answers: Callable[[str], bool],
    clock: Clock,
    interruption: Interruption,
) -> bool:
    """Wait until `url` answers; False if the user ended the demo before.

    StartError if the child dies or the time is over.
    """
    deadline = clock.monotonic() + _START_TIMEOUT
    while not answers(url):
        obituary = child.obituary()
        if obituary is not None:
            raise StartError(obituary)
        if clock.monotonic() > deadline:
            said = children.tail(child.log)
            raise StartError(f"{child.name} is not up after {_START_TIMEOUT:.0f} s: {said}")
        if interruption.wait(_POLL):
            return False
    return not interruption.wait(0)


def answers_200(url: str) -> bool:
    """Whether a GET of `url` comes back with the status 200."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False, verify=False).status_code == 200
    except httpx.TransportError:
        return False
