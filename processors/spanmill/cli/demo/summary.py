"""What the demo says at its start and at its end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from spanmill.cli.demo.ports import PREFERRED, Endpoints
from spanmill.cli.demo.scrape import Scrape
from spanmill.cli.demo.shop import SERVICES
from spanmill.cli.demo.view import printable, services_in_order

_DEFAULT = Endpoints.on(PREFERRED)


def introduction(ports: Mapping[str, int]) -> list[str]:
    """What is about to start, and where it can be reached."""
    endpoints = Endpoints.on(ports)
    replaced = [
        f"  port {PREFERRED[purpose]} is taken: {purpose} is on {number} instead"
        for purpose, number in ports.items()
        if number != PREFERRED[purpose]
    ]
    names = ", ".join(service.name for service in SERVICES)
    return [
        "spanmill demo: a small shop, and the metrics that its spans become",
        f"  metrics  {endpoints.scrape}",
        f"  OTLP     {endpoints.grpc} (gRPC), {endpoints.http} (HTTP)",
        *replaced,
        f"starting the processor, then {names}",
    ]


def summary(scrape: Scrape | None, elapsed: float, program: str) -> list[str]:
    """The counts of the last scrape by service, and what to try next with `program`."""
    if scrape is None:
        return [f"ended after {elapsed:.0f} s, before any span was counted", *_next(program)]
    spans: dict[str, float] = defaultdict(float)
    errors: dict[str, float] = defaultdict(float)
    for operation, totals in scrape.operations.items():
        spans[operation.service] += totals.calls
        errors[operation.service] += totals.errors
    lines = [
        f"ended after {elapsed:.0f} s: {scrape.calls:,.0f} spans counted, "
        f"{scrape.errors:,.0f} of them errors"
    ]
    width = max(map(len, spans), default=0)
    for service in services_in_order(spans):
        name = f"{printable(service):<{width}}"
        lines.append(f"  {name} {spans[service]:>8,.0f} spans {errors[service]:>6,.0f} errors")
    return [*lines, *_next(program)]


def _next(program: str) -> Sequence[str]:
    return (
        "",
        "Next: the processor alone, for your own services",
        f"  {program} run",
        f"  OTEL_EXPORTER_OTLP_ENDPOINT={_DEFAULT.grpc}   in your service (gRPC),",
        f"                              {_DEFAULT.http}   for http/protobuf",
        f"  curl {_DEFAULT.scrape}",
    )
