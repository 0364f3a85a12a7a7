"""Requests as clients send them, in protobuf and in OTLP's JSON."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

NOW_NS = 1_700_000_000_000_000_000
_ID_FIELDS = ("traceId", "spanId", "parentSpanId")


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


def to_json(body: bytes) -> bytes:
    """The same request in OTLP's JSON: ids in hex, enums as numbers."""
    document = json_format.MessageToDict(
        ExportTraceServiceRequest.FromString(body), use_integers_for_enums=True
    )
    return json.dumps(_with_hex_ids(document)).encode()


def _with_hex_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_hex_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: base64.b64decode(value).hex() if key in _ID_FIELDS else _with_hex_ids(value)
        for key, value in node.items()
    }
