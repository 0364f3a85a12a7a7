"""What a trace holds, in one form whatever it was read from, so that two can be compared."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

SpanWithContext = tuple[Resource, InstrumentationScope, Span]
Attributes = tuple[tuple[str, object], ...]


@dataclass(frozen=True)
class SpanContent:
    """A span with its resource and scope; attributes sorted by key, events by time."""

    resource: Attributes
    scope: tuple[str, str]
    trace_id: str
    parent_span_id: str
    trace_state: str
    name: str
    kind: int
    start: int
    end: int
    attributes: Attributes
    events: tuple[tuple[int, str, Attributes], ...]
    links: tuple[tuple[str, str], ...]
    status: tuple[int, str]


def content_sent(request: ExportTraceServiceRequest) -> dict[str, SpanContent]:
    """The spans of `request` by hexadecimal span id, as Jaeger gives them back."""
    return {
        span.span_id.hex(): SpanContent(
            resource=_sent_attributes(resource_spans.resource.attributes),
            scope=(scope_spans.scope.name, scope_spans.scope.version),
            trace_id=span.trace_id.hex(),
            parent_span_id=span.parent_span_id.hex(),
            trace_state=span.trace_state,
            name=span.name,
            kind=span.kind,
            start=span.start_time_unix_nano,
            end=span.end_time_unix_nano,
            attributes=_sent_attributes(span.attributes),
            events=tuple(
                sorted(
                    (event.time_unix_nano, event.name, _sent_attributes(event.attributes))
                    for event in span.events
                )
            ),
            links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
            status=(span.status.code, span.status.message),
        )
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    }


def content_of_json(trace: Mapping[str, Any]) -> dict[str, SpanContent]:
    """The spans of a trace in OTLP's JSON form by hexadecimal span id."""
    return {
        span["spanId"]: SpanContent(
            resource=_json_attributes(resource_spans["resource"]),
            scope=(
                scope_spans.get("scope", {}).get("name", ""),
                scope_spans.get("scope", {}).get("version", ""),
            ),
            trace_id=span["traceId"],
            parent_span_id=span.get("parentSpanId", ""),
            trace_state=span.get("traceState", ""),
            name=span["name"],
            kind=span.get("kind", 0),
            start=int(span["startTimeUnixNano"]),
            end=int(span["endTimeUnixNano"]),
            attributes=_json_attributes(span),
            events=tuple(
                sorted(
                    (int(event["timeUnixNano"]), event.get("name", ""), _json_attributes(event))
                    for event in span.get("events", [])
                )
            ),
            links=tuple((link["traceId"], link["spanId"]) for link in span.get("links", [])),
            status=(
                span.get("status", {}).get("code", 0),
                span.get("status", {}).get("message", ""),
            ),
        )
        for resource_spans in trace["resourceSpans"]
        for scope_spans in resource_spans["scopeSpans"]
        for span in scope_spans["spans"]
    }


def _sent_attributes(attributes: Iterable[KeyValue]) -> Attributes:
    return tuple(sorted((each.key, _comparable(_sent_value(each.value))) for each in attributes))


def _json_attributes(holder: Mapping[str, Any]) -> Attributes:
    return tuple(
        sorted(
            (each["key"], _comparable(_json_value(each["value"])))
            for each in holder.get("attributes", [])
            if not each["key"].startswith("@jaeger@")  # its own remarks, on clock skew for one
        )
    )


def _comparable(value: object) -> object:
    """A value as Jaeger 1 stores it: arrays and maps as JSON text, an empty value as ''.

    Jaeger 2 keeps them as they are; both are to pass.
    """
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return json.dumps(value, separators=(",", ":"))
    return value


def _sent_value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_sent_value(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {each.key: _sent_value(each.value) for each in value.kvlist_value.values}
    return getattr(value, kind) if kind else None


def _json_value(value: Mapping[str, Any]) -> object:
    if not value:
        return None
    ((kind, content),) = value.items()
    if kind == "intValue":
        return int(content)
    if kind == "bytesValue":
        return base64.b64decode(content)
    if kind == "arrayValue":
        return [_json_value(each) for each in content["values"]]
    if kind == "kvlistValue":
        return {each["key"]: _json_value(each["value"]) for each in content["values"]}
    return content


def spans_with_context(resource_spans: Iterable[ResourceSpans]) -> dict[bytes, SpanWithContext]:
    """Each span by its id, as Tempo keeps it, with the resource and scope that it belongs to.

    Tempo's columns have no place for a span's flags or for the lack of a status, and give
    attributes back in another order.
    """
    found: dict[bytes, SpanWithContext] = {}
    for each in resource_spans:
        for scope_spans in each.scope_spans:
            for span in scope_spans.spans:
                kept = Span()
                kept.CopyFrom(span)
                kept.ClearField("flags")
                kept.status.SetInParent()
                kept.attributes.sort(key=lambda attribute: attribute.key)
                resource = sorted(each.resource.attributes, key=lambda attribute: attribute.key)
                scope = scope_spans.scope
                found[span.span_id] = (Resource(attributes=resource), scope, kept)
    return found
