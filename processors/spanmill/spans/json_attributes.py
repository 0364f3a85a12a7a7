"""Resources, scopes and attributes of OTLP's JSON encoding, made protobuf's messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    EntityRef,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from spanmill.spans.json_fields import (
    INT64,
    UINT32,
    FieldError,
    base64_bytes,
    double,
    integer,
)
from spanmill.spans.json_schema import (
    JsonAnyValue,
    JsonEntityRef,
    JsonInteger,
    JsonKeyValue,
    JsonResource,
    JsonScope,
)

J = TypeVar("J")
M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)


def resource_of(source: JsonResource) -> Resource:
    """The Resource; raises FieldError, as all of these do."""
    resource = Resource(
        dropped_attributes_count=dropped_count(source.dropped_attributes_count, "resource."),
    )
    fill(resource.attributes, source.attributes, "resource.attributes", fill_pair)
    fill(resource.entity_refs, source.entity_refs, "resource.entityRefs", _fill_entity_ref)
    return resource


def scope_of(source: JsonScope) -> InstrumentationScope:
    """The InstrumentationScope."""
    scope = InstrumentationScope(
        name=source.name or "",
        version=source.version or "",
        dropped_attributes_count=dropped_count(source.dropped_attributes_count, "scope."),
    )
    fill(scope.attributes, source.attributes, "scope.attributes", fill_pair)
    return scope


class Repeated(Protocol[M_co]):
    """A repeated field of messages, as far as it is used here."""

    def add(self) -> M_co:
        """Append an empty message."""
        ...


def fill(
    target: Repeated[M], sources: Sequence[J] | None, field: str, fill: Callable[[M, J], None]
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


def fill_pair(pair: KeyValue, source: JsonKeyValue) -> None:
    """One attribute; for `fill`."""
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
        fill(value.array_value.values, source.array_value.values, "arrayValue.values", _fill_value)
    elif source.kvlist_value is not None:
        value.kvlist_value.SetInParent()
        pairs = source.kvlist_value.values
        fill(value.kvlist_value.values, pairs, "kvlistValue.values", fill_pair)


def dropped_count(value: JsonInteger, prefix: str = "") -> int:
    """How many attributes the sender says it dropped."""
    return integer(value, f"{prefix}droppedAttributesCount", UINT32)
