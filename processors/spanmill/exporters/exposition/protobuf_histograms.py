"""`io.prometheus.client.Histogram` messages, classic and native in one.

Field numbers are those of Prometheus's client_model, io/prometheus/client/metrics.proto.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.exporters.exposition.histograms import bucket_spans, cumulative_counts
from spanmill.exporters.exposition.protobuf_messages import CreatedStamps, exemplar_message
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
from spanmill.series.snapshot import Exemplar, Histograms, NativeBuckets

ZERO_THRESHOLD: Final = 2.0**-128
"""The width of a zero bucket that has exact zeros only, client_golang's default.

A width above 0 also tells Prometheus that a histogram without observations is a native one.
"""

_WHOLE_BELOW: Final = 2.0**53
_NO_EXEMPLARS: Final[Mapping[int, Exemplar]] = {}
_MOMENT: Final = attrgetter("seconds")

_COUNT = key(1, VARINT)
_SUM = key(2, FIXED64)
_BUCKET = key(3, LENGTH)
_COUNT_FLOAT = key(4, FIXED64)
_SCHEMA = key(5, VARINT)
_ZERO_THRESHOLD_FIELD = key(6, FIXED64)
_ZERO_COUNT = key(7, VARINT)
_ZERO_COUNT_FLOAT = key(8, FIXED64)
_NEGATIVE = (key(9, LENGTH), key(10, LENGTH), key(11, LENGTH))  # spans, deltas, counts
_POSITIVE = (key(12, LENGTH), key(13, LENGTH), key(14, LENGTH))
_CREATED: Final = 15
_EXEMPLARS = key(16, LENGTH)
_SPAN_OFFSET = key(1, VARINT)
_SPAN_LENGTH = key(2, VARINT)
_UPPER_BOUND = key(2, FIXED64)
_INFINITE_BOUND = _UPPER_BOUND + pack_double(math.inf)
_CUMULATIVE_COUNT = key(1, VARINT)
_CUMULATIVE_COUNT_FLOAT = key(4, FIXED64)
_BUCKET_EXEMPLAR = key(3, LENGTH)
# What stands before a bucket's count, by the length of the count; after it follow 9 bytes.
_BUCKET_HEADS = [_BUCKET + varint(1 + size + 9) + _CUMULATIVE_COUNT for size in range(11)]
_BUCKET_HEAD_FLOAT = _BUCKET + varint(1 + 8 + 9) + _CUMULATIVE_COUNT_FLOAT

_Side = tuple[list[tuple[int, int]], npt.NDArray[np.float64]]  # spans, counts inside them


def histogram_messages(data: Histograms, created: npt.NDArray[np.float64]) -> Iterator[bytes]:
    """A message for each series; `created` is float64 (series,), seconds since the epoch.

    A native histogram lists all its exemplars, those at positions past its bounds as well, which
    only this form can show.
    """
    bounds = [_UPPER_BOUND + pack_double(bound) for bound in data.bounds]
    counts, sums = data.counts.tolist(), data.sums.tolist()
    all_cumulative = cumulative_counts(data)
    classic_whole = _whole_rows(all_cumulative)
    stamps = CreatedStamps(_CREATED)
    created_seconds = created.tolist()
    for i, count in enumerate(counts):
        native = data.native[i] if data.native is not None else None
        sides = _sides(native) if native is not None else ()
        whole = bool(classic_whole[i])
        if native is not None:
            whole &= _whole(np.array([native.zero_count]))
            whole &= all(_whole(inside) for _, inside in sides)
        parts = [_COUNT, varint(int(count))] if whole else [_COUNT_FLOAT, pack_double(count)]
        parts += [_SUM, pack_double(sums[i])]
        exemplars = data.exemplars.get(i, _NO_EXEMPLARS)
        # Without +Inf, whose bucket is the count.
        if exemplars:
            parts += _buckets_with_exemplars(all_cumulative[i].tolist(), bounds, whole, exemplars)
        else:
            parts += _buckets(all_cumulative[i, :-1].tolist(), bounds, whole)
        parts.append(stamps.field(created_seconds[i]))
        if native is not None:
            parts += _native(native, sides, whole)
            parts += native_exemplar_fields(exemplars)
        yield b"".join(parts)


def _buckets(cumulative: list[float], bounds: list[bytes], whole: bool) -> list[bytes]:
    """The `bucket` fields, in pieces; `bounds` are the encoded upper bounds, 9 bytes each."""
    parts: list[bytes] = []
    if whole:
        for count, bound in zip(map(varint, map(int, cumulative)), bounds, strict=True):
            parts += (_BUCKET_HEADS[len(count)], count, bound)
    else:
        for count, bound in zip(map(pack_double, cumulative), bounds, strict=True):
            parts += (_BUCKET_HEAD_FLOAT, count, bound)
    return parts


def _buckets_with_exemplars(
    cumulative: list[float], bounds: list[bytes], whole: bool, exemplars: Mapping[int, Exemplar]
) -> Iterator[bytes]:
    """The `bucket` fields; that of +Inf is written where it has an exemplar."""
    for i, (count, bound) in enumerate(zip(cumulative, [*bounds, _INFINITE_BOUND], strict=True)):
        exemplar = exemplars.get(i)
        if exemplar is None and i == len(bounds):
            return
        if whole:
            bucket = _CUMULATIVE_COUNT + varint(int(count)) + bound
        else:
            bucket = _CUMULATIVE_COUNT_FLOAT + pack_double(count) + bound
        if exemplar is not None:
            bucket += bucket_exemplar_field(exemplar)
        yield length_delimited(_BUCKET, bucket)


def _sides(native: NativeBuckets) -> tuple[_Side, ...]:
    """Positive and negative buckets; spans' negative ones are there for few services' metrics."""
    positive = bucket_spans(native.first, native.counts)
    if not len(native.negative_counts):
        return (positive,)
    return (positive, bucket_spans(native.negative_first, native.negative_counts))


def _native(native: NativeBuckets, sides: tuple[_Side, ...], whole: bool) -> Iterator[bytes]:
    """The native form: counts as differences, or as they are where some aren't whole."""
    threshold = pack_double(native.zero_threshold or ZERO_THRESHOLD)
    yield _SCHEMA + varint(zigzag(native.schema)) + _ZERO_THRESHOLD_FIELD + threshold
    if whole:
        yield _ZERO_COUNT + varint(int(native.zero_count))
    else:
        yield _ZERO_COUNT_FLOAT + pack_double(native.zero_count)
    keys = (_POSITIVE, _NEGATIVE)
    for (span_key, delta_key, count_key), (spans, inside) in zip(keys, sides, strict=False):
        for offset, length in spans:
            content = _SPAN_OFFSET + varint(zigzag(offset)) + _SPAN_LENGTH + varint(length)
            yield length_delimited(span_key, content)
        if whole:
            deltas = inside.astype(np.int64)
            deltas[1:] -= inside[:-1].astype(np.int64)
            yield length_delimited(delta_key, packed_sint64(deltas))
        else:
            yield length_delimited(count_key, inside.astype("<f8").tobytes())


def bucket_exemplar_field(exemplar: Exemplar) -> bytes:
    """The field `exemplar` of a `Bucket`."""
    return as_bucket_exemplar(exemplar_message(exemplar))


def as_bucket_exemplar(message: bytes) -> bytes:
    """An `Exemplar` as the field `exemplar` of a `Bucket`."""
    return length_delimited(_BUCKET_EXEMPLAR, message)


def as_native_exemplar(message: bytes) -> bytes:
    """An `Exemplar` as one of the field `exemplars` of a native histogram."""
    return length_delimited(_EXEMPLARS, message)


def native_exemplar_fields(exemplars: Mapping[int, Exemplar]) -> Iterator[bytes]:
    """The `exemplars` fields: in the order of time and each with its moment, as they must be."""
    stamped = (exemplar for exemplar in exemplars.values() if not math.isnan(exemplar.seconds))
    for exemplar in sorted(stamped, key=_MOMENT):
        yield as_native_exemplar(exemplar_message(exemplar))


def _whole(counts: npt.NDArray[np.float64]) -> bool:
    return bool(_whole_rows(counts[np.newaxis])[0])


def _whole_rows(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which rows of (n, m) have only whole numbers, small enough to be exact."""
    in_range = (counts >= 0) & (counts < _WHOLE_BELOW)
    whole: npt.NDArray[np.bool_] = ((counts == np.rint(counts)) & in_range).all(1)
    return whole
