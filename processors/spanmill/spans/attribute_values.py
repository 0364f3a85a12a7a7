"""Attribute values: the protobuf library's `AnyValue` to Python's own types."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from spanmill.spans.batch import AttributeValue


def attribute_value(value: AnyValue) -> AttributeValue:
    """The Python value of an `AnyValue`.

    One that is empty, or that only points into a profile's table of strings, is None: outside
    profiles OTLP reads such a pointer as an empty value.
    """
    kind = value.WhichOneof("value")
    if kind is None or kind == "string_value_strindex":
        return None
    if kind == "array_value":
        return tuple(attribute_value(item) for item in value.array_value.values)
    if kind == "kvlist_value":
        return attribute_map(value.kvlist_value.values)
    scalar: AttributeValue = getattr(value, kind)
    return scalar


def attribute_map(pairs: Iterable[KeyValue]) -> dict[str, AttributeValue]:
    """Attributes by key; of a key that occurs twice the first counts, as in the Collector."""
    attributes: dict[str, AttributeValue] = {}
    for pair in pairs:
        key = pair.key
        if key not in attributes:
            attributes[key] = attribute_value(pair.value)
    return attributes
