"""Delimited `io.prometheus.client.MetricFamily` messages, with native histograms.

Written straight to the wire format; field numbers are those of Prometheus's client_model,
io/prometheus/client/metrics.proto, version 0.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, Protocol

from spanmill.exporters.exposition.chunks import byte_chunks
from spanmill.exporters.exposition.families import by_family
from spanmill.exporters.exposition.protobuf_histograms import histogram_messages
from spanmill.exporters.exposition.protobuf_messages import (
    CreatedStamps,
    LabelPairs,
    counter_exemplar_field,
)
from spanmill.exporters.exposition.wire import (
    FIXED64,
    LENGTH,
    VARINT,
    key,
    length_delimited,
    pack_double,
    varint,
)
from spanmill.series.snapshot import (
    Family,
    FamilySnapshot,
    FamilyType,
    Histograms,
    Summaries,
    Values,
)

_METRIC_TYPE: Final[dict[FamilyType, int]] = {
    "counter": 0,
    "gauge": 1,
    "summary": 2,
    "unknown": 3,
    "histogram": 4,
}
_VALUE_FIELD: Final[dict[FamilyType, bytes]] = {
    "gauge": key(2, LENGTH),
    "counter": key(3, LENGTH),
    "summary": key(4, LENGTH),
    "unknown": key(5, LENGTH),
    "histogram": key(7, LENGTH),
}

_NAME = key(1, LENGTH)
_HELP = key(2, LENGTH)
_TYPE = key(3, VARINT)
_METRIC = key(4, LENGTH)
_UNIT = key(5, LENGTH)
_VALUE = key(1, FIXED64)
_COUNTER_CREATED: Final = 3
_SUMMARY_COUNT = key(1, VARINT)
_SUMMARY_SUM = key(2, FIXED64)
_SUMMARY_QUANTILE = key(3, LENGTH)
_SUMMARY_CREATED: Final = 4
_QUANTILE = key(1, FIXED64)
_QUANTILE_VALUE = key(2, FIXED64)
_LARGEST_COUNT: Final = 2**64 - 1


MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""A family that is larger goes on in another message."""


class MetricWriter(Protocol):
    """What writes the series of a family."""

    def write(self, field: bytes, snapshot: FamilySnapshot) -> Iterator[bytes]:
        """The `metric` field of each series, with its value in the field of this key."""
        ...


def encode(families: Iterable[FamilySnapshot], writer: MetricWriter) -> Iterator[bytes]:
    """The families in chunks of about 512 KiB, each preceded by its length.

    The length comes first, so that a message is in memory as a whole before it is sent: one of
    4 MiB at most, however large the family is.
    """
    return byte_chunks(chain.from_iterable(_messages(families, writer)))


def _messages(families: Iterable[FamilySnapshot], writer: MetricWriter) -> Iterator[list[bytes]]:
    for family, snapshots in by_family(families):
        header, field = _header(family), _VALUE_FIELD[family.type]
        body, size = [header], len(header)
        for metrics in chain.from_iterable(writer.write(field, each) for each in snapshots):
            if size + len(metrics) > MESSAGE_BYTES and len(body) > 1:
                yield [varint(size), *body]
                body, size = [header], len(header)
            body.append(metrics)
            size += len(metrics)
        yield [varint(size), *body]


def _header(family: Family) -> bytes:
    name = length_delimited(_NAME, family.name.encode())
    text = length_delimited(_HELP, family.help.encode())
    unit = length_delimited(_UNIT, family.unit.encode()) if family.unit else b""
    return name + text + _TYPE + varint(_METRIC_TYPE[family.type]) + unit


class ReferenceMetrics:
    """Writes metrics, where there is no kernel, and those that it doesn't know."""

    def __init__(self) -> None:
        self._labels = LabelPairs()

    def write(self, field: bytes, snapshot: FamilySnapshot) -> Iterator[bytes]:
        """The `metric` field of each series, with its value in the field of this key."""
        data = snapshot.data
        if isinstance(data, Histograms):
            contents = histogram_messages(data, snapshot.created)
        elif isinstance(data, Summaries):
            contents = _summaries(data, snapshot.created.tolist())
        elif snapshot.family.type == "counter":
            contents = _counters(data, snapshot.created.tolist())
        else:
            contents = (_VALUE + pack_double(value) for value in data.values.tolist())
        for pairs, content in zip(self._labels.of(snapshot), contents, strict=True):
            yield length_delimited(_METRIC, pairs + length_delimited(field, content))


def _counters(data: Values, created: list[float]) -> Iterator[bytes]:
    stamps = CreatedStamps(_COUNTER_CREATED)
    for i, (value, seconds) in enumerate(zip(data.values.tolist(), created, strict=True)):
        content = _VALUE + pack_double(value) + stamps.field(seconds)
        exemplar = data.exemplars.get(i)
        if exemplar is not None:
            content += counter_exemplar_field(exemplar)
        yield content


def _summaries(data: Summaries, created: list[float]) -> Iterator[bytes]:
    stamps = CreatedStamps(_SUMMARY_CREATED)
    quantiles = [_QUANTILE + pack_double(quantile) for quantile in data.quantiles]
    counts, sums, rows = data.counts.tolist(), data.sums.tolist(), data.values.tolist()
    for count, total, values, seconds in zip(counts, sums, rows, created, strict=True):
        # A double just below 2^64 rounds up to it, which the field can't hold.
        parts = [_SUMMARY_COUNT + varint(min(int(count), _LARGEST_COUNT))]
        parts.append(_SUMMARY_SUM + pack_double(total))
        for quantile, value in zip(quantiles, values, strict=True):
            content = quantile + _QUANTILE_VALUE + pack_double(value)
            parts.append(length_delimited(_SUMMARY_QUANTILE, content))
        parts.append(stamps.field(seconds))
        yield b"".join(parts)
