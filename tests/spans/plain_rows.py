"""The same spans as rows, by the shortest way from the protobuf library's objects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from spanmill.spans.batch import SpanBatch

Row = dict[str, object]


def scopes_of(resource_spans: ResourceSpans) -> Sequence[ScopeSpans]:
    """Its scope_spans or, where it has none, what stands under the field's deprecated number."""
    if resource_spans.scope_spans:
        return resource_spans.scope_spans
    return [
        ScopeSpans.FromString(unknown.data)
        for unknown in UnknownFieldSet(resource_spans)  # type: ignore[attr-defined]  # stubs lack it
        if (unknown.field_number, unknown.wire_type) == (1000, 2)
    ]


def located_spans(
    request: ExportTraceServiceRequest,
) -> Iterator[tuple[ResourceSpans, ScopeSpans, Span]]:
    for resource_spans in request.resource_spans:
        for scope_spans in scopes_of(resource_spans):
            for span in scope_spans.spans:
                yield resource_spans, scope_spans, span


def is_valid(span: Span) -> bool:
    lengths = (len(span.trace_id), len(span.span_id))
    return lengths == (16, 8) and any(span.trace_id) and any(span.span_id)


def plain_rows(body: bytes, attributes: Sequence[str]) -> list[Row]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        {
            "resource": first_of(resource_spans.resource.attributes),
            "scope": (scope_spans.scope.name, scope_spans.scope.version),
            "name": span.name,
            "kind": span.kind if 0 <= span.kind <= 5 else 0,
            "status": span.status.code if 0 <= span.status.code <= 2 else 0,
            "start": span.start_time_unix_nano,
            "end": span.end_time_unix_nano,
            "duration": max(0, span.end_time_unix_nano - span.start_time_unix_nano),
            "trace_id": span.trace_id,
            "span_id": span.span_id,
            "parent_id": span.parent_span_id if len(span.parent_span_id) == 8 else bytes(8),
            "attributes": {
                key: value for key, value in first_of(span.attributes).items() if key in attributes
            },
            "span": span,
            "weight": 1.0,
        }
        for resource_spans, scope_spans, span in located_spans(request)
        if is_valid(span)
    ]


def first_of(pairs: Sequence[KeyValue]) -> dict[str, object]:
    return {pair.key: comparable(pair.value) for pair in reversed(pairs)}


def comparable(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(comparable(item) for item in value.array_value.values)
    if kind == "kvlist_value":
        return first_of(value.kvlist_value.values)
    return None if kind in (None, "string_value_strindex") else told_apart(getattr(value, kind))


def told_apart(value: object) -> object:
    """Equal only to what has the same type and, for doubles, the same sign; NaN equals itself."""
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value.hex())
    if isinstance(value, tuple):
        return tuple(told_apart(item) for item in value)
    if isinstance(value, dict):
        return {key: told_apart(item) for key, item in value.items()}
    return None if value is None else (type(value).__name__, value)


def batch_rows(batch: SpanBatch) -> list[Row]:
    return [
        {
            "resource": told_apart(batch.resource.values[batch.resource.codes[row]].attributes),
            "scope": (
                batch.scope.values[batch.scope.codes[row]].name,
                batch.scope.values[batch.scope.codes[row]].version,
            ),
            "name": batch.name.value(row),
            "kind": int(batch.kind[row]),
            "status": int(batch.status[row]),
            "start": int(batch.start[row]),
            "end": int(batch.end[row]),
            "duration": int(batch.duration[row]),
            "trace_id": batch.trace_id[row].tobytes(),
            "span_id": batch.span_id[row].tobytes(),
            "parent_id": batch.parent_id[row].tobytes(),
            "attributes": {
                key: told_apart(column.values[column.codes[row]])
                for key, column in batch.attributes.items()
                if column.codes[row] >= 0
            },
            "span": Span.FromString(batch.span_bytes(row)),
            "weight": float(batch.weight[row]),
        }
        for row in range(len(batch))
    ]
