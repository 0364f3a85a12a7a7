"""Prometheus's `MetricFamily` messages, read by the protobuf library.

The descriptor is written down here from client_model's metrics.proto 0.6, apart from the encoder
under test, which has field numbers of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

from spanmill.series.snapshot import Exemplar

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "string": _Field.TYPE_STRING,
    "double": _Field.TYPE_DOUBLE,
    "uint64": _Field.TYPE_UINT64,
    "int64": _Field.TYPE_INT64,
    "uint32": _Field.TYPE_UINT32,
    "sint32": _Field.TYPE_SINT32,
    "sint64": _Field.TYPE_SINT64,
}

_ENUM = ("COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM", "GAUGE_HISTOGRAM")

_MESSAGES = {
    "LabelPair": "string name 1, string value 2",
    "Gauge": "double value 1",
    "Counter": "double value 1, Exemplar exemplar 2, Timestamp created_timestamp 3",
    "Untyped": "double value 1",
    "Summary": (
        "uint64 sample_count 1, double sample_sum 2, *Quantile quantile 3, "
        "Timestamp created_timestamp 4"
    ),
    "Quantile": "double quantile 1, double value 2",
    "Histogram": (
        "uint64 sample_count 1, double sample_count_float 4, double sample_sum 2, "
        "*Bucket bucket 3, Timestamp created_timestamp 15, sint32 schema 5, "
        "double zero_threshold 6, uint64 zero_count 7, double zero_count_float 8, "
        "*BucketSpan negative_span 9, *sint64 negative_delta 10, *double negative_count 11, "
        "*BucketSpan positive_span 12, *sint64 positive_delta 13, *double positive_count 14, "
        "*Exemplar exemplars 16"
    ),
    "Bucket": (
        "uint64 cumulative_count 1, double cumulative_count_float 4, double upper_bound 2, "
        "Exemplar exemplar 3"
    ),
    "BucketSpan": "sint32 offset 1, uint32 length 2",
    "Exemplar": "*LabelPair label 1, double value 2, Timestamp timestamp 3",
    "Metric": (
        "*LabelPair label 1, Gauge gauge 2, Counter counter 3, Summary summary 4, "
        "Untyped untyped 5, Histogram histogram 7, int64 timestamp_ms 6"
    ),
    "MetricFamily": (
        "string name 1, string help 2, MetricType type 3, *Metric metric 4, string unit 5"
    ),
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="metrics.proto",
        package="io.prometheus.client",
        syntax="proto2",
        dependency=["google/protobuf/timestamp.proto"],
    )
    enum = file.enum_type.add(name="MetricType")
    for value, name in enumerate(_ENUM):
        enum.value.add(name=name, number=value)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields.split(", "):
            type_name, field_name, number = field.split(" ")
            repeated = type_name.startswith("*")
            _add_field(message, type_name.lstrip("*"), field_name, int(number), repeated)
    return file


def _add_field(
    message: descriptor_pb2.DescriptorProto, kind: str, name: str, number: int, repeated: bool
) -> None:
    field = message.field.add(name=name, number=number)
    field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    if kind in _TYPES:
        field.type = _TYPES[kind]
    elif kind == "Timestamp":
        field.type, field.type_name = _Field.TYPE_MESSAGE, ".google.protobuf.Timestamp"
    elif kind == "MetricType":
        field.type, field.type_name = _Field.TYPE_ENUM, ".io.prometheus.client.MetricType"
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".io.prometheus.client.{kind}"


def _family_class() -> Any:  # a class made at run time has no static type
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(_file())
    descriptor = pool.FindMessageTypeByName("io.prometheus.client.MetricFamily")
    return message_factory.GetMessageClass(descriptor)


MetricFamily = _family_class()
TYPE_NAMES = dict(enumerate(_ENUM))


def read_delimited(data: bytes) -> list[Any]:
    """The families of an exposition; fails on trailing bytes and on unknown fields."""
    families = []
    offset = 0
    while offset < len(data):
        length, offset = _varint(data, offset)
        assert offset + length <= len(data), "a family runs past the end"
        family = MetricFamily.FromString(data[offset : offset + length])
        canonical = MetricFamily.FromString(family.SerializeToString())
        canonical.DiscardUnknownFields()
        assert canonical == family, "a field that metrics.proto doesn't have"
        families.append(family)
        offset += length
    return families


def labels_of(metric: Any) -> dict[str, str]:
    """The labels of a metric; fails on one that comes twice."""
    labels = {pair.name: pair.value for pair in metric.label}
    assert len(labels) == len(metric.label), "a label comes twice"
    return labels


def positive_buckets(histogram: Any) -> dict[int, float]:
    """The native buckets by index, as Prometheus reads spans with deltas or counts."""
    return _native_buckets(
        histogram.positive_span, histogram.positive_delta, histogram.positive_count
    )


def negative_buckets(histogram: Any) -> dict[int, float]:
    """The same for negative values, whose buckets are mirrored at 0."""
    return _native_buckets(
        histogram.negative_span, histogram.negative_delta, histogram.negative_count
    )


def exemplar_of(message: Any) -> Exemplar:
    """An exemplar as a snapshot has it; its moment is NaN where it has no timestamp."""
    stamp = message.timestamp
    has_stamp = message.HasField("timestamp")
    return Exemplar(
        labels=tuple((pair.name, pair.value) for pair in message.label),
        value=message.value,
        seconds=stamp.seconds + stamp.nanos / 1e9 if has_stamp else math.nan,
    )


def _native_buckets(spans: Any, deltas: Any, floats: Any) -> dict[int, float]:
    remaining = iter(list(floats) or list(_running_sums(deltas)))
    buckets = {}
    index = 0
    for span in spans:
        index += span.offset
        for _ in range(span.length):
            buckets[index] = next(remaining)
            index += 1
    assert next(remaining, None) is None, "more counts than the spans have room for"
    return buckets


def _running_sums(deltas: list[int]) -> Iterator[float]:
    total = 0
    for delta in deltas:
        total += delta
        yield float(total)


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[offset]
        offset += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, offset
