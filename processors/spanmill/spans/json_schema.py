"""The messages of OTLP's JSON encoding, as msgspec reads them.

Every field may be absent or null, which both mean unset; unknown fields are ignored; of a name
that occurs twice the last counts. 64-bit integers come as number or string, doubles also as
"NaN", "Infinity" and "-Infinity", enums as integers, ids in hexadecimal, bytes in base64.
Sources: opentelemetry.io/docs/specs/otlp (JSON Protobuf Encoding) and
protobuf.dev/programming-guides/json.
"""

from __future__ import annotations

from msgspec import Raw, Struct

JsonInteger = int | float | str | None
JsonDouble = float | str | None


class JsonArray(Struct, rename="camel", gc=False):
    """ArrayValue."""

    values: list[JsonAnyValue] | None = None


class JsonKeyValueList(Struct, rename="camel", gc=False):
    """KeyValueList."""

    values: list[JsonKeyValue] | None = None


class JsonAnyValue(Struct, rename="camel", gc=False):
    """AnyValue: at most one of these."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: JsonInteger = None
    double_value: JsonDouble = None
    array_value: JsonArray | None = None
    kvlist_value: JsonKeyValueList | None = None
    bytes_value: str | None = None


class JsonKeyValue(Struct, rename="camel", gc=False):
    """KeyValue."""

    key: str | None = None
    value: JsonAnyValue | None = None


class JsonEntityRef(Struct, rename="camel", gc=False):
    """EntityRef."""

    schema_url: str | None = None
    type: str | None = None
    id_keys: list[str] | None = None
    description_keys: list[str] | None = None


class JsonResource(Struct, rename="camel", gc=False):
    """Resource."""

    attributes: list[JsonKeyValue] | None = None
    dropped_attributes_count: JsonInteger = None
    entity_refs: list[JsonEntityRef] | None = None


class JsonScope(Struct, rename="camel", gc=False):
    """InstrumentationScope."""

    name: str | None = None
    version: str | None = None
    attributes: list[JsonKeyValue] | None = None
    dropped_attributes_count: JsonInteger = None


class JsonEvent(Struct, rename="camel", gc=False):
    """Span.Event."""

    time_unix_nano: JsonInteger = None
    name: str | None = None
    attributes: list[JsonKeyValue] | None = None
    dropped_attributes_count: JsonInteger = None


class JsonLink(Struct, rename="camel", gc=False):
    """Span.Link."""

    trace_id: str | None = None
    span_id: str | None = None
    trace_state: str | None = None
    attributes: list[JsonKeyValue] | None = None
    dropped_attributes_count: JsonInteger = None
    flags: JsonInteger = None


class JsonStatus(Struct, rename="camel", gc=False):
    """Status."""

    message: str | None = None
    code: int | None = None


class JsonSpan(Struct, rename="camel", gc=False):
    """Span."""

    trace_id: str | None = None
    span_id: str | None = None
    trace_state: str | None = None
    parent_span_id: str | None = None
    flags: JsonInteger = None
    name: str | None = None
    kind: int | None = None
    start_time_unix_nano: JsonInteger = None
    end_time_unix_nano: JsonInteger = None
    attributes: list[JsonKeyValue] | None = None
    dropped_attributes_count: JsonInteger = None
    events: list[JsonEvent] | None = None
    dropped_events_count: JsonInteger = None
    links: list[JsonLink] | None = None
    dropped_links_count: JsonInteger = None
    status: JsonStatus | None = None


class JsonScopeSpans(Struct, rename={"items": "spans", "schema_url": "schemaUrl"}, gc=False):
    """ScopeSpans. Its spans are read one at a time, so that few are in memory as objects."""

    scope: JsonScope | None = None
    items: list[Raw] | None = None
    schema_url: str | None = None


class JsonResourceSpans(
    Struct, rename={"scopes": "scopeSpans", "schema_url": "schemaUrl"}, gc=False
):
    """ResourceSpans."""

    resource: JsonResource | None = None
    scopes: list[JsonScopeSpans] | None = None
    schema_url: str | None = None


class JsonRequest(Struct, rename={"resources": "resourceSpans"}, gc=False):
    """ExportTraceServiceRequest."""

    resources: list[JsonResourceSpans] | None = None
