"""Small recordings."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

NEWEST_END = 1_700_000_000_000_000_000


def recorded_span(number: int) -> Span:
    return Span(
        trace_id=number.to_bytes(16),
        span_id=number.to_bytes(8),
        name=f"span {number}",
        start_time_unix_nano=NEWEST_END - 1000 * number - 500,
        end_time_unix_nano=NEWEST_END - 1000 * number + 1000,
    )


def request_of(spans: Sequence[Span]) -> bytes:
    service = KeyValue(key="service.name", value=AnyValue(string_value="shop"))
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=[service]), scope_spans=[ScopeSpans(spans=spans)]
            )
        ]
    ).SerializeToString()


def write_recording(path: Path, messages: Sequence[bytes]) -> Path:
    content = b"".join(struct.pack(">I", len(message)) + message for message in messages)
    path.write_bytes(zstandard.ZstdCompressor().compress(content))
    return path


def spans_of(payload: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(payload)
    return [
        span
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]
