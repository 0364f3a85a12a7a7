"""Requests that resemble recorded ones, the same everywhere: nothing but a seed goes in."""

from __future__ import annotations

from random import Random
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

ATTRIBUTES: Final = ("http.route", "rpc.method")
BEGIN_NS: Final = 1_700_000_000_000_000_000
_SERVICES: Final = 10
_NAMES: Final = 8
_EXTRA: Final = tuple(f"app.detail.{i}" for i in range(8))


def request(spans: int, *, extra_attributes: int, seed: int) -> bytes:
    """A serialised request of some services' spans, each under its resource and scope.

    With no extra attributes a span has about 220 bytes, with 8 about 590.
    """
    random = Random(seed)
    resources = [
        _resource(random, service, spans // _SERVICES, extra_attributes)
        for service in range(_SERVICES)
    ]
    return ExportTraceServiceRequest(resource_spans=resources).SerializeToString()


def _resource(random: Random, service: int, spans: int, extra: int) -> ResourceSpans:
    return ResourceSpans(
        resource=service_of(random, service),
        scope_spans=[
            ScopeSpans(scope=scope_of(), spans=[span_of(random, extra) for _ in range(spans)])
        ],
    )


def service_of(random: Random, number: int) -> Resource:
    """The resource of one service."""
    attributes = [
        _text("service.name", f"service-{number}"),
        _text("service.namespace", "shop"),
        _text("service.instance.id", f"{random.getrandbits(128):032x}"),
        _text("telemetry.sdk.language", "python"),
        _text("host.name", f"host-{random.randrange(4)}"),
    ]
    return Resource(attributes=attributes)


def scope_of() -> InstrumentationScope:
    """The scope of every span."""
    return InstrumentationScope(name="opentelemetry.instrumentation.http", version="1.2.3")


def span_of(random: Random, extra: int) -> Span:
    """A span with so many attributes beside the usual ones."""
    name = random.randrange(_NAMES)
    start = BEGIN_NS + random.randrange(10**9)
    attributes = [
        _text("http.route", f"/api/v1/orders/{{id}}/{name}"),
        _text("http.request.method", random.choice(("GET", "POST"))),
        KeyValue(
            key="http.response.status_code",
            value=AnyValue(int_value=random.choice((200, 200, 200, 404, 500))),
        ),
        *(_text(key, f"{random.getrandbits(64):016x} {random.random()}") for key in _EXTRA[:extra]),
    ]
    if random.random() < 0.2:
        attributes.append(_text("rpc.method", f"Method{name}"))
    return Span(
        trace_id=random.randbytes(16),
        span_id=random.randbytes(8),
        parent_span_id=random.randbytes(8) if random.random() < 0.8 else b"",
        name=f"GET /api/v1/orders/{{id}}/{name}",
        kind=random.choice((Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)),
        start_time_unix_nano=start,
        end_time_unix_nano=start + int(random.lognormvariate(15, 2)),
        attributes=attributes,
        status=Status(code=Status.STATUS_CODE_ERROR) if random.random() < 0.1 else None,
        flags=257,
    )


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))
