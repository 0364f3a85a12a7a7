"""Delimited `io.prometheus.client.MetricFamily` messages, with native histograms.

Written straight to the wire format; field numbers are those of Prometheus's client_model,
io/prometheus/client/metrics.proto, version 0.6.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.exporters.exposition.chunks import byte_chunks
from spanmill.exporters.exposition.histograms import bucket_spans, cumulative_counts
from spanmill.exporters.exposition.wire import (
    FIXED64,
    LENGTH,
    VARINT,
    key,
    length_delimited,
    pack_double,
    packed_sint64,
    varint,
    zigzag,
)
from spanmill.series.snapshot import (
    OVERFLOW_LABELS,
    Family,
    FamilySnapshot,
    FamilyType,
    Histograms,
    LabelValues,
    NativeBuckets,
)

ZERO_THRESHOLD: Final = 2.0**-128
"""The width of the zero bucket, client_golang's default; our zero bucket has exact zeros only.

A width above 0 also tells Prometheus that a histogram without observations is a native one.
"""

_WHOLE_BELOW: Final = 2.0**53
_NANOSECONDS: Final = 1_000_000_000
_NOTHING: Final = np.zeros(0)

_METRIC_TYPE: Final[dict[FamilyType, int]] = {
    "counter": 0,
    "gauge": 1,
    "unknown": 3,
    "histogram": 4,
}
_VALUE_FIELD: Final[dict[FamilyType, bytes]] = {
    "gauge": key(2, LENGTH),
    "counter": key(3, LENGTH),
    "unknown": key(5, LENGTH),
}

_NAME = key(1, LENGTH)  # of MetricFamily and of LabelPair
_HELP = key(2, LENGTH)
_TYPE = key(3, VARINT)
_METRIC = key(4, LENGTH)
_LABEL = key(1, LENGTH)
_LABEL_VALUE = key(2, LENGTH)
_HISTOGRAM = key(7, LENGTH)
_VALUE = key(1, FIXED64)
_COUNTER_CREATED = key(3, LENGTH)
_SECONDS = key(1, VARINT)
_NANOS = key(2, VARINT)

_COUNT = key(1, VARINT)
_SUM = key(2, FIXED64)
_BUCKET = key(3, LENGTH)
_COUNT_FLOAT = key(4, FIXED64)
_SCHEMA = key(5, VARINT)
_ZERO_THRESHOLD_FIELD = key(6, FIXED64) + pack_double(ZERO_THRESHOLD)
_ZERO_COUNT = key(7, VARINT)
_ZERO_COUNT_FLOAT = key(8, FIXED64)
_POSITIVE_SPAN = key(12, LENGTH)
_POSITIVE_DELTA = key(13, LENGTH)
_POSITIVE_COUNT = key(14, LENGTH)
_HISTOGRAM_CREATED = key(15, LENGTH)
_SPAN_OFFSET = key(1, VARINT)
_SPAN_LENGTH = key(2, VARINT)
_UPPER_BOUND = key(2, FIXED64)
_CUMULATIVE_COUNT = key(1, VARINT)
_CUMULATIVE_COUNT_FLOAT = key(4, FIXED64)
# What stands before a bucket's count, by the length of the count; after it follow 9 bytes.
_BUCKET_HEADS = [_BUCKET + varint(1 + size + 9) + _CUMULATIVE_COUNT for size in range(11)]
_BUCKET_HEAD_FLOAT = _BUCKET + varint(1 + 8 + 9) + _CUMULATIVE_COUNT_FLOAT


def encode(families: Sequence[FamilySnapshot]) -> Iterator[bytes]:
    """The families in chunks of about 64 KiB, each family preceded by its length."""
    return byte_chunks(_pieces(families))


def _pieces(families: Sequence[FamilySnapshot]) -> Iterator[bytes]:
    labels = _LabelPairs()
    created = _Stamps()
    for snapshot in families:
        # The length comes first, so that a family is in memory as a whole before it is sent.
        body = [_header(snapshot.family), *_metrics(snapshot, labels, created)]
        yield varint(sum(map(len, body)))
        yield from body


def _header(family: Family) -> bytes:
    name = length_delimited(_NAME, family.name.encode())
    text = length_delimited(_HELP, family.help.encode())
    return name + text + _TYPE + varint(_METRIC_TYPE[family.type])


def _metrics(snapshot: FamilySnapshot, labels: _LabelPairs, created: _Stamps) -> Iterator[bytes]:
    if isinstance(snapshot.data, Histograms):
        contents = _histograms(snapshot.data, snapshot.created.tolist(), created)
        field = _HISTOGRAM
    else:
        contents = _values(snapshot, created)
        field = _VALUE_FIELD[snapshot.family.type]
    for pairs, content in zip(labels.of(snapshot), contents, strict=True):
        yield length_delimited(_METRIC, pairs + length_delimited(field, content))


def _values(snapshot: FamilySnapshot, created: _Stamps) -> Iterator[bytes]:
    assert not isinstance(snapshot.data, Histograms), "histograms have their own encoder"
    stamped = snapshot.family.type == "counter"
    values = snapshot.data.values.tolist()
    for value, seconds in zip(values, snapshot.created.tolist(), strict=True):
        content = _VALUE + pack_double(value)
        yield content + length_delimited(_COUNTER_CREATED, created[seconds]) if stamped else content


def _histograms(
    data: Histograms, created_seconds: list[float], created: _Stamps
) -> Iterator[bytes]:
    bounds = [_UPPER_BOUND + pack_double(bound) for bound in data.bounds]
    counts, sums = data.counts.tolist(), data.sums.tolist()
    all_cumulative = cumulative_counts(data)
    classic_whole = _whole(all_cumulative)
    for i, count in enumerate(counts):
        native = data.native[i] if data.native is not None else None
        spans, inside = bucket_spans(native) if native is not None else ([], _NOTHING)
        whole = bool(classic_whole[i])
        if native is not None:
            whole &= native.zero_count.is_integer() and bool(_whole(inside[np.newaxis])[0])
        parts = [_COUNT, varint(int(count))] if whole else [_COUNT_FLOAT, pack_double(count)]
        parts += [_SUM, pack_double(sums[i])]
        # Without +Inf, whose bucket is the count.
        parts += _classic(all_cumulative[i, :-1].tolist(), bounds, whole)
        parts.append(length_delimited(_HISTOGRAM_CREATED, created[created_seconds[i]]))
        if native is not None:
            parts += _native(native, spans, inside, whole)
        yield b"".join(parts)


def _classic(cumulative: list[float], bounds: list[bytes], whole: bool) -> list[bytes]:
    """The `bucket` fields, in pieces; `bounds` are the encoded upper bounds, 9 bytes each."""
    parts: list[bytes] = []
    if whole:
        for count, bound in zip(map(varint, map(int, cumulative)), bounds, strict=True):
            parts += (_BUCKET_HEADS[len(count)], count, bound)
    else:
        for count, bound in zip(map(pack_double, cumulative), bounds, strict=True):
            parts += (_BUCKET_HEAD_FLOAT, count, bound)
    return parts


def _native(
    native: NativeBuckets,
    spans: list[tuple[int, int]],
    inside: npt.NDArray[np.float64],
    whole: bool,
) -> Iterator[bytes]:
    """The native form: counts as differences, or as they are where some aren't whole."""
    yield _SCHEMA + varint(zigzag(native.schema)) + _ZERO_THRESHOLD_FIELD
    for offset, length in spans:
        content = _SPAN_OFFSET + varint(zigzag(offset)) + _SPAN_LENGTH + varint(length)
        yield length_delimited(_POSITIVE_SPAN, content)
    if whole:
        yield _ZERO_COUNT + varint(int(native.zero_count))
        deltas = inside.astype(np.int64)
        deltas[1:] -= inside[:-1].astype(np.int64)
        yield length_delimited(_POSITIVE_DELTA, packed_sint64(deltas))
    else:
        yield _ZERO_COUNT_FLOAT + pack_double(native.zero_count)
        yield length_delimited(_POSITIVE_COUNT, inside.astype("<f8").tobytes())


def _whole(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which rows of (n, m) have only whole numbers, small enough to be exact."""
    whole: npt.NDArray[np.bool_] = ((counts == np.rint(counts)) & (counts < _WHOLE_BELOW)).all(1)
    return whole


class _LabelPairs:
    """The labels of series as messages, made once for all families of one exposition."""

    def __init__(self) -> None:
        self._pairs: dict[str, dict[str, bytes]] = {}
        self._known: dict[tuple[str, ...], dict[LabelValues | None, bytes]] = {}

    def of(self, snapshot: FamilySnapshot) -> list[bytes]:
        """The `label` fields of each series."""
        names = snapshot.label_names
        known = self._known.setdefault(names, {})
        for values in snapshot.labels:
            if values not in known:
                known[values] = self._fields(names, values)
        return [known[values] for values in snapshot.labels]

    def _fields(self, names: tuple[str, ...], values: LabelValues | None) -> bytes:
        pairs = OVERFLOW_LABELS if values is None else zip(names, values, strict=True)
        return b"".join([self._field(name, value) for name, value in pairs if value])

    def _field(self, name: str, value: str) -> bytes:
        known = self._pairs.setdefault(name, {})
        field = known.get(value)
        if field is None:
            pair = length_delimited(_NAME, name.encode())
            pair += length_delimited(_LABEL_VALUE, value.encode())
            field = known[value] = length_delimited(_LABEL, pair)
        return field


class _Stamps(dict[float, bytes]):
    """`google.protobuf.Timestamp` messages by seconds since the Unix epoch."""

    def __missing__(self, created: float) -> bytes:
        # Apart, since the nanoseconds of today are more than a double has digits for.
        fraction, whole = math.modf(created)
        carry, nanos = divmod(round(fraction * _NANOSECONDS), _NANOSECONDS)
        seconds = int(whole) + carry
        stamp = self[created] = _SECONDS + varint(seconds) + _NANOS + varint(nanos)
        return stamp
