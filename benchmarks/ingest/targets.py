"""What is measured: spanmill, and the real Collector with `span_metrics`, each as shipped."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from spanmill.errors import StartError
from spanmill.kernels import SWITCH

_COLLECTOR_CONFIG = """\
extensions:
  health_check: {{endpoint: "127.0.0.1:{ready}"}}
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}", max_recv_msg_size_mib: 64}}
      http: {{endpoint: "127.0.0.1:{http}", max_request_body_size: 67108864}}
connectors:
  span_metrics:
    dimensions: [{{name: http.route}}]
    histogram:
      exponential: {{max_size: 160}}
    metrics_flush_interval: 5s
exporters:
  prometheus: {{endpoint: "127.0.0.1:{scrape}"}}
{forwarder}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [{exporters}]}}
    metrics: {{receivers: [span_metrics], exporters: [prometheus]}}
"""

_COLLECTOR_FORWARDER = """\
  otlp_http:
    endpoint: "http://127.0.0.1:{sink}"
    compression: none
    sending_queue: {{block_on_overflow: true}}
"""

_OPTIONAL_SECTIONS = ("service_graph", "percentiles", "exemplars")
_OPTIONAL_SPAN_METRICS = ("normalize_span_names", "target_info")

CAPABILITIES = (*_OPTIONAL_SECTIONS, *_OPTIONAL_SPAN_METRICS)
"""What spanmill does beside counting calls, sizes and durations, by its configuration's keys."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a target is started, and where it then answers."""

    command: Sequence[str]
    environment: Mapping[str, str]
    grpc: str
    http_url: str
    ready_url: str
    scrape_url: str


class Target(Protocol):
    """A program that takes OTLP spans, derives calls and durations, and may forward the spans."""

    name: str
    calls: tuple[str, ...]
    """Counters of its scrape, each of which sums to the spans that were counted."""
    derives: bool
    """Whether it derives metrics; if not, it is measured where spans are forwarded."""

    def version(self) -> str:
        """What it says of itself; StartError where it can't be run."""
        ...

    def prepare(self, folder: Path, sink: int | None) -> Launch:
        """Write its configuration into `folder`, forwarding to the sink's port if there is one."""
        ...


class Collector:
    """The Collector on one core (GOMAXPROCS=1), with one histogram (exponential) a label set."""

    name = "Collector"
    derives = True
    calls: tuple[str, ...] = ("traces_span_metrics_calls_total",)

    def __init__(self, binary: Path) -> None:
        self._binary = binary

    def version(self) -> str:
        """Its version line."""
        return printed_by([str(self._binary), "--version"])

    def prepare(self, folder: Path, sink: int | None) -> Launch:
        """Write its configuration; without a sink the spans end in the connector."""
        ready, receiver, http, scrape = free_ports(4)
        forwarder = "" if sink is None else _COLLECTOR_FORWARDER.format(sink=sink)
        exporters = "span_metrics" if sink is None else "span_metrics, otlp_http"
        file = folder / "collector.yaml"
        file.write_text(
            _COLLECTOR_CONFIG.format(
                ready=ready,
                grpc=receiver,
                http=http,
                scrape=scrape,
                forwarder=forwarder,
                exporters=exporters,
            )
        )
        return Launch(
            [str(self._binary), "--config", str(file)],
            {"GOMAXPROCS": "1"},
            f"127.0.0.1:{receiver}",
            f"http://127.0.0.1:{http}/v1/traces",
            f"http://127.0.0.1:{ready}/",
            f"http://127.0.0.1:{scrape}/metrics",
        )


class Spanmill:
    """spanmill with both dialects, each with classic buckets, one also native.

    `capabilities` are on beside the span metrics; all of them are by default, as in spanmill.
    Without `kernels` the references do their work. `max_series` None is the default.
    `processors` are one's own, as in a configuration.
    """

    calls: tuple[str, ...] = ("traces_spanmetrics_calls_total", "traces_span_metrics_calls_total")
    derives = True

    def __init__(
        self,
        name: str = "spanmill",
        capabilities: Sequence[str] = CAPABILITIES,
        *,
        kernels: bool = True,
        max_series: int | None = None,
        processors: Sequence[Mapping[str, object]] = (),
    ) -> None:
        self.name = name
        self._capabilities = capabilities
        self._max_series = max_series
        self._processors = list(processors)
        self._command = [sys.executable, "-m", "spanmill.cli.main"]
        self._environment = {} if kernels else {SWITCH: "off"}

    def version(self) -> str:
        """Its version line, which names the decoder and the interpreter."""
        return printed_by([*self._command, "--version"], self._environment)

    def prepare(self, folder: Path, sink: int | None) -> Launch:
        """Write its configuration; without a sink the spans go nowhere."""
        receiver, http, scrape = free_ports(3)
        off = [each for each in CAPABILITIES if each not in self._capabilities]
        destination = {"endpoint": f"http://127.0.0.1:{sink}", "protocol": "http/protobuf"}
        config = {
            "receivers": {
                "otlp": {
                    "grpc": {"endpoint": f"127.0.0.1:{receiver}"},
                    "http": {"endpoint": f"127.0.0.1:{http}"},
                }
            },
            "exporters": {
                "prometheus": {"endpoint": f"127.0.0.1:{scrape}"},
                "otlp_traces": {} if sink is None else {"sink": destination},
            },
            "span_metrics": {
                "dimensions": ["http.route"],
                **({} if self._max_series is None else {"max_series": self._max_series}),
                **{key: False for key in _OPTIONAL_SPAN_METRICS if key in off},
            },
            **{key: None for key in _OPTIONAL_SECTIONS if key in off},
            "processors": self._processors,
            # What the disk costs is measured apart: benchmarks/durability.
            "state": {"durability": "memory"},
        }
        file = folder / "spanmill.yaml"
        file.write_text(yaml.safe_dump(config))
        return Launch(
            [*self._command, "run", "--config", str(file)],
            self._environment,
            f"127.0.0.1:{receiver}",
            f"http://127.0.0.1:{http}/v1/traces",
            f"http://127.0.0.1:{scrape}/readyz",
            f"http://127.0.0.1:{scrape}/metrics",
        )


def components_folder(environment: Mapping[str, str]) -> Path:
    """Where `tests/components/build.sh` puts the binaries unless SPANMILL_COMPONENTS says so."""
    named = environment.get("SPANMILL_COMPONENTS")
    if named:
        return Path(named)
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache", "spanmill/components")


def free_ports(count: int) -> list[int]:
    """`count` different TCP ports of 127.0.0.1 that nothing listens on now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def printed_by(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """What a command prints, in one line; StartError where it can't be run."""
    try:
        printed = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **(environment or {})},
        )
    except OSError as error:
        raise StartError(
            f"{command[0]}: {error.strerror}: build it with tests/components/build.sh, "
            "and name its folder in SPANMILL_COMPONENTS"
        ) from error
    except subprocess.CalledProcessError as error:
        raise StartError(f"{' '.join(command)} failed: {error.stderr.strip()}") from error
    return re.sub(r"\s+", " ", printed.stdout).strip()
