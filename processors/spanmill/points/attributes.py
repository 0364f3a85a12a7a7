"""Attributes of metrics: as a key to look series up by, and as a mapping."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from spanmill.points.batch import Attributes
from spanmill.spans.attribute_values import attribute_value
from spanmill.spans.batch import AttributeValue


def attribute_key(pairs: Iterable[KeyValue]) -> Attributes:
    """The attributes of the protobuf library as a key."""
    key: list[str | bytes] = []
    for pair in pairs:
        value = pair.value
        # Nearly every value is a string that isn't empty, which is known without a look at kind.
        text = value.string_value
        key.append(pair.key)
        if text or value.HasField("string_value"):
            key.append(text)
        else:
            key.append(value.SerializeToString(deterministic=True))
    return tuple(key)


def read_attributes(key: Attributes) -> dict[str, AttributeValue]:
    """The attributes by name; of a name that occurs twice the first counts, as for spans."""
    attributes: dict[str, AttributeValue] = {}
    names = iter(key)
    for name, value in zip(names, names, strict=True):
        if isinstance(name, str) and name not in attributes:
            attributes[name] = (
                value if isinstance(value, str) else attribute_value(AnyValue.FromString(value))
            )
    return attributes
