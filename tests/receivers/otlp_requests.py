"""Requests of spans as clients send them."""

from __future__ import annotations

import random
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

NOW_NS = 1_700_000_000_000_000_000


def span(name: str = "GET /", seed: int = 1, **fields: Any) -> Span:
    """A valid span of 5 ms; `fields` replace or add some of its own."""
    ids = random.Random(seed)
    valid = {
        "trace_id": ids.randbytes(16),
        "span_id": ids.randbytes(8),
        "name": name,
        "kind": Span.SPAN_KIND_SERVER,
        "start_time_unix_nano": NOW_NS,
        "end_time_unix_nano": NOW_NS + 5_000_000,
    }
    return Span(**{**valid, **fields})


def request(*spans: Span, service: str = "shop") -> ExportTraceServiceRequest:
    """A request with these spans under one resource and one scope."""
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    resource_spans.resource.attributes.add(key="service.name").value.string_value = service
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "tests"
    scope_spans.spans.extend(spans)
    return message


def good_body(spans: int = 1) -> bytes:
    """A serialised request that is taken as a whole."""
    return request(*(span(seed=seed) for seed in range(spans))).SerializeToString()
