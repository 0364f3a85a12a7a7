"""One service of the shop as a process of its own: `python -m spanmill.cli.demo.service NAME …`.

It serves on the listening socket that it is given, and hears on standard input whether to fail.
"""

from __future__ import annotations

import argparse
import logging
import random
import signal
import socket
from collections.abc import Awaitable, Mapping

import httpx
import uvicorn
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor, RequestInfo

from spanmill.cli.demo import lifeline
from spanmill.cli.demo.shop import SERVICES, World
from spanmill_instrumentation import configure, instrument_app

FAIL = "fail"
RECOVER = "recover"

_TIMEOUT = 5.0  # seconds for a call to another service
_KEEP_ALIVE = 60  # seconds; longer than the client keeps an idle connection, or calls would fail


class TracedPeers:
    """The other services over HTTP, and a database that only takes its time, all traced."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = urls
        self._tracer = trace.get_tracer("spanmill.demo")
        self._client = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False)
        HTTPXClientInstrumentor.instrument_client(self._client, request_hook=_name_by_template)

    async def call(self, service: str, method: str, template: str, **values: str) -> int:
        """The status of a call to another service; 503 if it can't be reached in time."""
        url = self._urls[service] + template.format_map(values)
        try:
            response = await self._client.request(
                method, url, extensions={"url_template": template}
            )
        except httpx.TransportError:
            return 503
        return response.status_code

    async def query(self, statement: str, work: Awaitable[None]) -> None:
        """Be busy for as long as `work` takes, as a span of a database client."""
        operation, _, table = statement.partition(" ")
        attributes = {
            "db.system.name": "postgresql",
            "db.operation.name": operation,
            "db.collection.name": table,
        }
        with self._tracer.start_as_current_span(
            statement, kind=trace.SpanKind.CLIENT, attributes=attributes
        ):
            await work


async def _name_by_template(span: trace.Span, request: RequestInfo) -> None:
    # The instrumentation names a client span by the method alone, as it knows no template.
    template = (request.extensions or {}).get("url_template")
    if template:
        span.update_name(f"{request.method.decode()} {template}")
        span.set_attribute("url.template", template)


def _peer(text: str) -> tuple[str, str]:
    name, separator, url = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError("expected NAME=URL")
    return name, url


def main() -> None:
    """Serve until the lifeline closes or a SIGTERM, then export the last spans."""
    services = {service.name: service for service in SERVICES}
    parser = argparse.ArgumentParser(prog="python -m spanmill.cli.demo.service")
    parser.add_argument("name", choices=services)
    parser.add_argument("--socket", type=int, required=True, help="a listening socket's number")
    parser.add_argument("--peer", type=_peer, action="append", default=[], metavar="NAME=URL")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request

    telemetry = configure()
    world = World(TracedPeers(dict(arguments.peer)), random.Random(arguments.seed))
    app = services[arguments.name].make_app(world)
    server = uvicorn.Server(
        uvicorn.Config(
            instrument_app(app, telemetry=telemetry),
            lifespan="off",
            access_log=False,
            log_level="warning",
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=2,
        )
    )

    def hear(line: str) -> None:
        world.failing = line == FAIL

    def end() -> None:
        server.should_exit = True

    lifeline.watch(end, hear)
    # uvicorn raises the signal that ended it again: without a handler that would be our end,
    # before the last spans are out.
    signal.signal(signal.SIGTERM, lambda *_: end())
    server.run(sockets=[socket.socket(fileno=arguments.socket)])
    telemetry.shutdown()


if __name__ == "__main__":
    main()
