"""OTLP's JSON encoding of a trace request, made protobuf once, at reception."""

from __future__ import annotations

from typing import Final

import msgspec
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from spanmill.spans.json_attributes import dropped_count, fill, fill_pair
from spanmill.spans.json_fields import INT32, UINT32, UINT64, identifier, integer
from spanmill.spans.json_request import JsonForm, convert
from spanmill.spans.json_schema import JsonEvent, JsonLink, JsonRequest, JsonSpan, JsonStatus

_SPAN: Final = msgspec.json.Decoder(JsonSpan)


def json_to_protobuf(body: bytes) -> bytes:
    """The same `ExportTraceServiceRequest` in protobuf; equal bodies give equal bytes.

    Ids may have any length (the decoder rejects such spans one by one), but must be
    hexadecimal. Raises as `convert` does.
    """
    return convert(body, _FORM)


def _span_bytes(raw: msgspec.Raw) -> bytes:
    return _span(_SPAN.decode(raw)).SerializeToString(deterministic=True)


_FORM: Final = JsonForm(
    decode=msgspec.json.Decoder(JsonRequest).decode,
    item=_span_bytes,
    resources="resourceSpans",
    scopes="scopeSpans",
    items="spans",
)


def _span(source: JsonSpan) -> Span:
    span = Span(
        trace_id=identifier(source.trace_id, "traceId"),
        span_id=identifier(source.span_id, "spanId"),
        trace_state=source.trace_state or "",
        parent_span_id=identifier(source.parent_span_id, "parentSpanId"),
        flags=integer(source.flags, "flags", UINT32),
        name=source.name or "",
        kind=integer(source.kind, "kind", INT32),  # type: ignore[arg-type]  # an open enum
        start_time_unix_nano=integer(source.start_time_unix_nano, "startTimeUnixNano", UINT64),
        end_time_unix_nano=integer(source.end_time_unix_nano, "endTimeUnixNano", UINT64),
        dropped_attributes_count=dropped_count(source.dropped_attributes_count),
        dropped_events_count=integer(source.dropped_events_count, "droppedEventsCount", UINT32),
        dropped_links_count=integer(source.dropped_links_count, "droppedLinksCount", UINT32),
    )
    fill(span.attributes, source.attributes, "attributes", fill_pair)
    fill(span.events, source.events, "events", _fill_event)
    fill(span.links, source.links, "links", _fill_link)
    if source.status is not None:
        _fill_status(span.status, source.status)
    return span


def _fill_event(event: Span.Event, source: JsonEvent) -> None:
    event.time_unix_nano = integer(source.time_unix_nano, "timeUnixNano", UINT64)
    event.name = source.name or ""
    event.dropped_attributes_count = dropped_count(source.dropped_attributes_count)
    fill(event.attributes, source.attributes, "attributes", fill_pair)


def _fill_link(link: Span.Link, source: JsonLink) -> None:
    link.trace_id = identifier(source.trace_id, "traceId")
    link.span_id = identifier(source.span_id, "spanId")
    link.trace_state = source.trace_state or ""
    link.flags = integer(source.flags, "flags", UINT32)
    link.dropped_attributes_count = dropped_count(source.dropped_attributes_count)
    fill(link.attributes, source.attributes, "attributes", fill_pair)


def _fill_status(status: Status, source: JsonStatus) -> None:
    status.SetInParent()
    status.message = source.message or ""
    status.code = integer(source.code, "status.code", INT32)  # type: ignore[assignment]  # an open enum
