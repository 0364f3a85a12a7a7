"""The points of a family: what stands in each after its attributes.

Field numbers are those of opentelemetry/proto/metrics/v1/metrics.proto. They are written straight
to the wire: with the protobuf library's objects it takes about twice as long.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.exporters.exposition.histograms import cumulative_counts
from spanmill.exporters.exposition.wire import (
    FIXED64,
    LENGTH,
    VARINT,
    key,
    length_delimited,
    pack_double,
    varint,
    zigzag,
)
from spanmill.exporters.otlp_metrics.exemplars import exemplar_message
from spanmill.exporters.otlp_metrics.metric import FIELDS, Kind
from spanmill.series.snapshot import (
    Exemplar,
    FamilySnapshot,
    Histograms,
    NativeBuckets,
    Summaries,
    Values,
)

_START = key(2, FIXED64)[0]
_TIME = key(3, FIXED64)[0]
_COUNT = key(4, FIXED64)[0]
_SUM = key(5, FIXED64)
_DOUBLE = key(4, FIXED64)[0]
_NUMBER_EXEMPLAR = key(5, LENGTH)
_HISTOGRAM_EXEMPLAR = key(8, LENGTH)
_EXPONENTIAL_EXEMPLAR = key(11, LENGTH)
_BUCKET_COUNTS = key(6, LENGTH)
_BOUNDS = key(7, LENGTH)
_SCALE = key(6, VARINT)
_ZERO_COUNT = key(7, FIXED64)
_POSITIVE = key(8, LENGTH)
_NEGATIVE = key(9, LENGTH)
_ZERO_THRESHOLD = key(14, FIXED64)
_OFFSET = key(1, VARINT)
_EXPONENTIAL_COUNTS = key(2, LENGTH)
_QUANTILE_VALUE = key(6, LENGTH)
_QUANTILE = key(1, FIXED64)
_VALUE = key(2, FIXED64)

_gauge: Final = struct.Struct("<BQBd").pack
_number: Final = struct.Struct("<BQBQBd").pack
_distribution: Final = struct.Struct("<BQBQBQ").pack
_count: Final = struct.Struct("<Q").pack

_NO_VALUE: Final = varint(1)  # DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
_NO_EXEMPLARS: Final[Mapping[int, Exemplar]] = {}
_MOMENT: Final = attrgetter("seconds")


def point_contents(snapshot: FamilySnapshot, kind: Kind, time_ns: int) -> Iterator[bytes]:
    """A message for each series, all but its attributes."""
    data = snapshot.data
    starts = _starts(snapshot.created, time_ns)
    if isinstance(data, Summaries):
        return _summaries(data, starts, time_ns)
    if isinstance(data, Values):
        if kind is Kind.SUM:
            return _sums(data, starts, time_ns)
        return (_gauge(_TIME, time_ns, _DOUBLE, value) for value in data.values.tolist())
    if kind is Kind.EXPONENTIAL_HISTOGRAM and data.native is not None:
        return _exponential_histograms(data, data.native, starts, time_ns)
    return _histograms(data, starts, time_ns)


def no_value_content(kind: Kind, borders: tuple[float, ...], time_ns: int) -> bytes:
    """The message that says that a series has no value any more, all but its attributes.

    `borders` are the bounds of a histogram, the quantiles of a summary: Prometheus marks those
    of its series as stale that the point still names.
    """
    parts = [bytes((_TIME,)), _count(time_ns)]
    if kind is Kind.HISTOGRAM:
        parts += (_SUM, pack_double(0.0), *_packed(_BUCKET_COUNTS, np.zeros(len(borders) + 1)))
        parts += _packed(_BOUNDS, np.array(borders))
    elif kind is Kind.SUMMARY:
        parts += (length_delimited(_QUANTILE_VALUE, _QUANTILE + pack_double(q)) for q in borders)
    return b"".join((*parts, FIELDS[kind].flags, _NO_VALUE))


def _starts(created: npt.NDArray[np.float64], time_ns: int) -> list[int]:
    """When each series began in nanoseconds, not after `time_ns`; 0 where it isn't known."""
    known = np.nan_to_num(created, nan=0.0)
    # Of two doubles for one moment one may be a little late, by less than a microsecond.
    starts: list[int] = np.minimum(np.rint(known * 1e9).astype(np.int64), time_ns).tolist()
    return starts


def _sums(data: Values, starts: list[int], time_ns: int) -> Iterator[bytes]:
    for i, (value, start) in enumerate(zip(data.values.tolist(), starts, strict=True)):
        content = _number(_START, start, _TIME, time_ns, _DOUBLE, value)
        exemplar = data.exemplars.get(i)
        if exemplar is not None:
            content += length_delimited(_NUMBER_EXEMPLAR, exemplar_message(exemplar))
        yield content


def _histograms(data: Histograms, starts: list[int], time_ns: int) -> Iterator[bytes]:
    """Explicit histograms; of fractional counts the whole part of each cumulative one.

    So they never fall from one push to the next, and what is cut off comes with a later one.
    """
    cumulative = _whole_part(cumulative_counts(data))
    counts = cumulative[:, -1].tolist()
    buckets = np.diff(cumulative, axis=1, prepend=0).astype("<u8")
    bounds = b"".join(_packed(_BOUNDS, np.array(data.bounds)))
    head = _BUCKET_COUNTS + varint(buckets.shape[1] * 8)
    for i, (count, total, start) in enumerate(zip(counts, data.sums.tolist(), starts, strict=True)):
        parts = [
            _distribution(_START, start, _TIME, time_ns, _COUNT, count),
            _sum(total),
            head,
            buckets[i].tobytes(),
            bounds,
        ]
        exemplars = data.exemplars.get(i, _NO_EXEMPLARS)
        if exemplars:  # in the order of their buckets, in which Prometheus looks for them
            parts += _exemplars(_HISTOGRAM_EXEMPLAR, [exemplars[b] for b in sorted(exemplars)])
        yield b"".join(parts)


def _exponential_histograms(
    data: Histograms, native: Iterable[NativeBuckets], starts: list[int], time_ns: int
) -> Iterator[bytes]:
    """Exponential histograms; of fractional counts the whole part of each bucket.

    Whole parts of two buckets are never more than that of their sum, so no bucket falls when
    the scale is lowered either. The count is the sum of the buckets, as Prometheus demands.
    """
    for i, (buckets, total, start) in enumerate(
        zip(native, data.sums.tolist(), starts, strict=True)
    ):
        positive, zeros = _whole_part(buckets.counts), int(buckets.zero_count)
        count = int(positive.sum()) + zeros
        negative = None
        if len(buckets.negative_counts):
            negative = _whole_part(buckets.negative_counts)
            count += int(negative.sum())
        parts = [
            _distribution(_START, start, _TIME, time_ns, _COUNT, count),
            _sum(total),
            _SCALE + varint(zigzag(buckets.schema)),
            _ZERO_COUNT + _count(zeros),
        ]
        if len(positive):
            parts.append(length_delimited(_POSITIVE, _buckets(buckets.first, positive)))
        if negative is not None:
            parts.append(length_delimited(_NEGATIVE, _buckets(buckets.negative_first, negative)))
        if buckets.zero_threshold:
            parts.append(_ZERO_THRESHOLD + pack_double(buckets.zero_threshold))
        exemplars = data.exemplars.get(i, _NO_EXEMPLARS)
        if exemplars:  # in the order of time: they go to one series
            in_order = sorted(exemplars.values(), key=_MOMENT)
            parts += _exemplars(_EXPONENTIAL_EXEMPLAR, in_order)
        yield b"".join(parts)


def _summaries(data: Summaries, starts: list[int], time_ns: int) -> Iterator[bytes]:
    quantiles = [_QUANTILE + pack_double(quantile) for quantile in data.quantiles]
    counts = _whole_part(data.counts).tolist()
    rows = data.values.tolist()
    for count, total, values, start in zip(counts, data.sums.tolist(), rows, starts, strict=True):
        parts = [_distribution(_START, start, _TIME, time_ns, _COUNT, count), _sum(total)]
        for quantile, value in zip(quantiles, values, strict=True):
            content = quantile + _VALUE + pack_double(value)
            parts.append(length_delimited(_QUANTILE_VALUE, content))
        yield b"".join(parts)


def _sum(total: float) -> bytes:
    """The field `sum`, absent where there is none."""
    return _SUM + pack_double(total) if total == total else b""  # noqa: PLR0124 - NaN is not itself


def _buckets(first: int, counts: npt.NDArray[np.int64]) -> bytes:
    """`Buckets`; OpenTelemetry's index is Prometheus's - 1."""
    if counts.max() < 128:
        packed = counts.astype(np.uint8).tobytes()
    else:
        packed = b"".join(map(varint, counts.tolist()))
    offset = _OFFSET + varint(zigzag(first - 1))
    return offset + length_delimited(_EXPONENTIAL_COUNTS, packed)


def _exemplars(field: bytes, exemplars: Iterable[Exemplar]) -> Iterator[bytes]:
    for exemplar in exemplars:
        yield length_delimited(field, exemplar_message(exemplar))


def _packed(field: bytes, numbers: npt.NDArray[np.float64]) -> tuple[bytes, bytes]:
    """A packed field of 64-bit numbers; zeros are the same as integers and as doubles."""
    return field + varint(len(numbers) * 8), numbers.astype("<f8").tobytes()


def _whole_part(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return counts.astype(np.int64)
