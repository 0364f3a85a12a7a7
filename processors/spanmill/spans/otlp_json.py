"""OTLP's JSON encoding of a trace request, made protobuf once, at reception."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, TypeVar

import msgspec
from google.protobuf.message import EncodeError
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    EntityRef,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from spanmill.errors import TooManyMessagesError, UndecodableError
from spanmill.spans.json_fields import (
    INT32,
    INT64,
    UINT32,
    UINT64,
    FieldError,
    base64_bytes,
    double,
    identifier,
    integer,
)
from spanmill.spans.json_schema import (
    JsonAnyValue,
    JsonEntityRef,
    JsonEvent,
    JsonKeyValue,
    JsonLink,
    JsonRequest,
    JsonResource,
    JsonResourceSpans,
    JsonScope,
    JsonScopeSpans,
    JsonSpan,
    JsonStatus,
)
from spanmill.spans.splice import encode_varint
from spanmill.spans.wire import MAX_MESSAGES

_REQUEST: Final = msgspec.json.Decoder(JsonRequest)
_SPAN: Final = msgspec.json.Decoder(JsonSpan)
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

J = TypeVar("J")
M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)


def json_to_protobuf(body: bytes) -> bytes:
    """The same `ExportTraceServiceRequest` in protobuf; equal bodies give equal bytes.

    Ids may have any length (the decoder rejects such spans one by one), but must be
    hexadecimal. Raises UndecodableError with the path of what can't be read, and
    TooManyMessagesError where the decoder would, before anything is converted.
    """
    if body.startswith(_BYTE_ORDER_MARK):
        raise UndecodableError("the JSON body begins with a byte-order mark")
    try:
        request = _REQUEST.decode(body)
        _check_number(request)
        return b"".join(_resource_spans(request))
    except FieldError as error:
        raise UndecodableError(f"the JSON body has a wrong value at $.{error}") from error
    except RecursionError as error:
        raise UndecodableError("the JSON body is nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeError, EncodeError) as error:
        raise UndecodableError(f"the JSON body can't be read: {error}") from error


def _check_number(request: JsonRequest) -> None:
    messages = 0
    for resource_spans in request.resource_spans or ():
        scopes = resource_spans.scope_spans or ()
        messages += 1 + len(scopes) + sum(len(scope.spans or ()) for scope in scopes)
        if messages > MAX_MESSAGES:
            raise TooManyMessagesError(MAX_MESSAGES)


def _resource_spans(request: JsonRequest) -> Iterator[bytes]:
    for row, resource_spans in enumerate(request.resource_spans or ()):
        try:
            content = _resource_spans_content(resource_spans)
        except FieldError as error:
            raise error.under(f"resourceSpans[{row}]") from error
        yield b"\x0a" + encode_varint(len(content))
        yield bytes(content)


# The envelopes are framed here, not by the library: so the spans need not be in memory together
# as objects. Fields are written in the order of their numbers, as the library does.


def _resource_spans_content(message: JsonResourceSpans) -> bytearray:
    content = bytearray()
    if message.resource is not None:
        resource = _resource(message.resource)
        content += ResourceSpans(resource=resource).SerializeToString()
    for row, scope_spans in enumerate(message.scope_spans or ()):
        try:
            scope_content = _scope_spans_content(scope_spans)
        except FieldError as error:
            raise error.under(f"scopeSpans[{row}]") from error
        content += b"\x12" + encode_varint(len(scope_content))
        content += scope_content
    content += ResourceSpans(schema_url=message.schema_url or "").SerializeToString()
    return content


def _scope_spans_content(message: JsonScopeSpans) -> bytearray:
    content = bytearray()
    if message.scope is not None:
        content += ScopeSpans(scope=_scope(message.scope)).SerializeToString()
    for row, raw in enumerate(message.spans or ()):
        try:
            span = _span(_SPAN.decode(raw)).SerializeToString(deterministic=True)
        except FieldError as error:
            raise error.under(f"spans[{row}]") from error
        except msgspec.ValidationError as error:
            raise FieldError(str(error), f"spans[{row}]") from error
        content += b"\x12" + encode_varint(len(span))
        content += span
    content += ScopeSpans(schema_url=message.schema_url or "").SerializeToString()
    return content


def _resource(source: JsonResource) -> Resource:
    resource = Resource(
        dropped_attributes_count=_count(source.dropped_attributes_count, "resource."),
    )
    _fill(resource.attributes, source.attributes, "resource.attributes", _fill_pair)
    _fill(resource.entity_refs, source.entity_refs, "resource.entityRefs", _fill_entity_ref)
    return resource


def _scope(source: JsonScope) -> InstrumentationScope:
    scope = InstrumentationScope(
        name=source.name or "",
        version=source.version or "",
        dropped_attributes_count=_count(source.dropped_attributes_count, "scope."),
    )
    _fill(scope.attributes, source.attributes, "scope.attributes", _fill_pair)
    return scope


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
        dropped_attributes_count=_count(source.dropped_attributes_count),
        dropped_events_count=integer(source.dropped_events_count, "droppedEventsCount", UINT32),
        dropped_links_count=integer(source.dropped_links_count, "droppedLinksCount", UINT32),
    )
    _fill(span.attributes, source.attributes, "attributes", _fill_pair)
    _fill(span.events, source.events, "events", _fill_event)
    _fill(span.links, source.links, "links", _fill_link)
    if source.status is not None:
        _fill_status(span.status, source.status)
    return span


class _Repeated(Protocol[M_co]):
    """A repeated field of messages, as far as it is used here."""

    def add(self) -> M_co:
        """Append an empty message."""
        ...


def _fill(
    target: _Repeated[M], sources: Sequence[J] | None, field: str, fill: Callable[[M, J], None]
) -> None:
    """Append to a repeated field what the JSON array of this name holds."""
    for row, source in enumerate(sources or ()):
        try:
            fill(target.add(), source)
        except FieldError as error:
            raise error.under(f"{field}[{row}]") from error


def _fill_entity_ref(reference: EntityRef, source: JsonEntityRef) -> None:
    reference.schema_url = source.schema_url or ""
    reference.type = source.type or ""
    reference.id_keys.extend(source.id_keys or ())
    reference.description_keys.extend(source.description_keys or ())


def _fill_event(event: Span.Event, source: JsonEvent) -> None:
    event.time_unix_nano = integer(source.time_unix_nano, "timeUnixNano", UINT64)
    event.name = source.name or ""
    event.dropped_attributes_count = _count(source.dropped_attributes_count)
    _fill(event.attributes, source.attributes, "attributes", _fill_pair)


def _fill_link(link: Span.Link, source: JsonLink) -> None:
    link.trace_id = identifier(source.trace_id, "traceId")
    link.span_id = identifier(source.span_id, "spanId")
    link.trace_state = source.trace_state or ""
    link.flags = integer(source.flags, "flags", UINT32)
    link.dropped_attributes_count = _count(source.dropped_attributes_count)
    _fill(link.attributes, source.attributes, "attributes", _fill_pair)


def _fill_status(status: Status, source: JsonStatus) -> None:
    status.SetInParent()
    status.message = source.message or ""
    status.code = integer(source.code, "status.code", INT32)  # type: ignore[assignment]  # an open enum


def _fill_pair(pair: KeyValue, source: JsonKeyValue) -> None:
    pair.key = source.key or ""
    if source.value is not None:
        pair.value.SetInParent()
        try:
            _fill_value(pair.value, source.value)
        except FieldError as error:
            raise error.under("value") from error


def _fill_value(value: AnyValue, source: JsonAnyValue) -> None:
    given = [name for name in source.__struct_fields__ if getattr(source, name) is not None]
    if len(given) > 1:
        raise FieldError(f"the value has several kinds: {', '.join(given)}")
    if source.string_value is not None:
        value.string_value = source.string_value
    elif source.bool_value is not None:
        value.bool_value = source.bool_value
    elif source.int_value is not None:
        value.int_value = integer(source.int_value, "intValue", INT64)
    elif source.double_value is not None:
        value.double_value = double(source.double_value, "doubleValue")
    elif source.bytes_value is not None:
        value.bytes_value = base64_bytes(source.bytes_value, "bytesValue")
    elif source.array_value is not None:
        value.array_value.SetInParent()
        _fill(value.array_value.values, source.array_value.values, "arrayValue.values", _fill_value)
    elif source.kvlist_value is not None:
        value.kvlist_value.SetInParent()
        pairs = source.kvlist_value.values
        _fill(value.kvlist_value.values, pairs, "kvlistValue.values", _fill_pair)


def _count(value: int | float | str | None, prefix: str = "") -> int:
    return integer(value, f"{prefix}droppedAttributesCount", UINT32)
