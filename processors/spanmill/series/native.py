"""Exponential histograms, a row for each label set."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.series.column import grown
from spanmill.series.snapshot import NativeBuckets, PackedNative

MAX_BUCKETS: Final = 160
MAX_SCALE: Final = 8
"""The finest schema that Prometheus's native histograms have."""
MIN_SCALE: Final = -4
"""The coarsest; at this scale every positive double fits into 132 buckets."""

MANTISSA_BOUNDS: Final = np.exp2(np.arange(256) / 256 - 1.0)
"""Upper bounds of the 256 sub-buckets of [0.5, 1], the range of a mantissa as frexp gives it."""


def bucket_index(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The exponential bucket of each positive value at scale 8: int64 of shape (n,).

    Bucket i covers (2^(i/256), 2^((i+1)/256)], as the OpenTelemetry metrics data model defines
    it; at a scale s below 8 the bucket is `i >> (8 - s)`. Found from the bits of the double and a
    table instead of a logarithm, so that exact powers of two land on the right side.
    """
    mantissa, exponent = np.frexp(values)
    sub_bucket = np.searchsorted(MANTISSA_BOUNDS, mantissa, side="left")
    return (exponent.astype(np.int64) - 1) * 256 + sub_bucket - 1


class NativeHistograms:
    """Exponential histograms of at most 160 buckets each, the scale lowered as needed.

    Each row begins at scale 8 (relative error 0.14 %) and halves its resolution whenever its
    lowest and highest bucket would be 160 or more apart. Memory: 1.3 KB a row.

    A bucket stands at its index modulo 160, so that a row needs no moving when its range grows.
    """

    def __init__(self) -> None:
        self._counts = np.zeros((0, MAX_BUCKETS))
        self._zeros = np.zeros(0)
        self._scale = np.zeros(0, np.int8)
        self._low = np.zeros(0, np.int64)
        self._high = np.zeros(0, np.int64)

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows; new ones are empty."""
        old = len(self._scale)
        self._counts = grown(self._counts, capacity)
        self._zeros = grown(self._zeros, capacity)
        self._scale = grown(self._scale, capacity)
        self._low = grown(self._low, capacity)
        self._high = grown(self._high, capacity)
        self._mark_empty(slice(old, capacity))

    def reset(self, row: int) -> None:
        """Empty one row, which another label set will use."""
        self.reset_rows(np.array([row]))

    def reset_rows(self, rows: npt.NDArray[np.int64]) -> None:
        """Empty rows, int64 (m,), which other label sets will use."""
        self._counts[rows] = 0.0
        self._zeros[rows] = 0.0
        self._mark_empty(rows)

    def observe(
        self,
        rows: npt.NDArray[np.int64],
        values: npt.NDArray[np.float64],
        weights: npt.NDArray[np.float64],
    ) -> None:
        """Count values >= 0 of shape (n,) at rows of shape (n,), each `weights` times."""
        positive = values > 0
        if not positive.all():
            np.add.at(self._zeros, rows[~positive], weights[~positive])
            rows, values, weights = rows[positive], values[positive], weights[positive]
        if not len(rows):
            return
        finest = bucket_index(values)
        self._make_room(rows, finest)
        indexes = finest >> (MAX_SCALE - self._scale[rows])
        np.add.at(self._counts, (rows, indexes % MAX_BUCKETS), weights)

    def merge(self, row: int, other: NativeHistograms, other_row: int) -> None:
        """Add one row of `other` to a row."""
        self.merge_packed(np.array([row]), other.packed(np.array([other_row])))

    def merge_packed(self, rows: npt.NDArray[np.int64], others: PackedNative) -> None:
        """Add histograms to rows (s,), at the finest scale at which all of each has room.

        Which scale that is depends on the lowest and the highest bucket of all alone, so that
        merging is associative and commutative.
        """
        for row, other in zip(rows.tolist(), others, strict=True):
            self._merge(row, other)

    def copy(self, rows: npt.NDArray[np.int64]) -> NativeHistograms:
        """A copy of rows (s,), as rows 0 to s - 1."""
        copied = NativeHistograms()
        copied._counts, copied._zeros = self._counts[rows], self._zeros[rows]
        copied._scale, copied._low = self._scale[rows], self._low[rows]
        copied._high = self._high[rows]
        return copied

    def put_packed(self, rows: npt.NDArray[np.int64], kept: PackedNative) -> None:
        """Put histograms at rows (s,), which are empty, each once."""
        lengths = np.diff(kept.begins)
        place = np.arange(len(kept.counts)) - np.repeat(kept.begins[:-1], lengths)
        low = np.where(lengths > 0, kept.firsts - 1, 0)
        indexes = np.repeat(low, lengths) + place
        self._counts[np.repeat(rows, lengths), indexes % MAX_BUCKETS] = kept.counts
        self._zeros[rows] = kept.zero_counts
        self._scale[rows] = kept.schemas
        self._low[rows] = low
        self._high[rows] = low + lengths - 1

    def _merge(self, row: int, other: NativeBuckets) -> None:
        self._zeros[row] += other.zero_count
        counts = other.counts
        if not len(counts):
            return
        indexes = np.arange(other.first - 1, other.first - 1 + len(counts))
        scale = min(int(self._scale[row]), other.schema)
        if self._low[row] > self._high[row]:
            self._scale[row] = scale
        else:
            self._lower_scale(row, int(self._scale[row]) - scale)
        indexes >>= other.schema - scale
        rows = np.full(2, row)
        self._make_room(rows, indexes[[0, -1]] << (MAX_SCALE - scale))
        steps = scale - int(self._scale[row])
        np.add.at(self._counts[row], (indexes >> steps) % MAX_BUCKETS, counts)

    def buckets(self, row: int) -> NativeBuckets:
        """A copy of one row in Prometheus's terms: its index is OpenTelemetry's + 1."""
        low, high = int(self._low[row]), int(self._high[row])
        indexes = np.arange(low, high + 1)
        return NativeBuckets(
            schema=int(self._scale[row]),
            zero_count=float(self._zeros[row]),
            first=low + 1 if len(indexes) else 0,
            counts=self._counts[row, indexes % MAX_BUCKETS],
        )

    def packed(self, rows: npt.NDArray[np.int64]) -> PackedNative:
        """Copies of these rows, int64 (s,), as columns."""
        lengths = self._high[rows] - self._low[rows] + 1
        begins = np.append(0, np.cumsum(lengths))
        place = np.arange(begins[-1]) - np.repeat(begins[:-1], lengths)
        indexes = np.repeat(self._low[rows], lengths) + place
        return PackedNative(
            schemas=self._scale[rows],
            zero_counts=self._zeros[rows],
            firsts=np.where(lengths > 0, self._low[rows] + 1, 0).astype(np.int32),
            begins=begins,
            counts=self._counts[np.repeat(rows, lengths), indexes % MAX_BUCKETS],
        )

    def nbytes(self) -> int:
        """The memory of all rows."""
        columns = (self._counts, self._zeros, self._scale, self._low, self._high)
        return sum(column.nbytes for column in columns)

    def _make_room(self, rows: npt.NDArray[np.int64], finest: npt.NDArray[np.int64]) -> None:
        """Widen the range of these rows to these buckets, at a lower scale where it must be."""
        touched, position = np.unique(rows, return_inverse=True)
        lowest = np.full(len(touched), np.iinfo(np.int64).max)
        highest = np.full(len(touched), np.iinfo(np.int64).min)
        np.minimum.at(lowest, position, finest)
        np.maximum.at(highest, position, finest)
        shift = MAX_SCALE - self._scale[touched]
        empty = self._low[touched] > self._high[touched]
        low = np.where(empty, lowest >> shift, np.minimum(self._low[touched], lowest >> shift))
        high = np.where(empty, highest >> shift, np.maximum(self._high[touched], highest >> shift))
        crowded = high - low >= MAX_BUCKETS
        for i in np.flatnonzero(crowded):
            steps = 0
            while (high[i] >> steps) - (low[i] >> steps) >= MAX_BUCKETS:
                steps += 1
            self._lower_scale(int(touched[i]), steps)
            low[i] >>= steps
            high[i] >>= steps
        self._low[touched] = low
        self._high[touched] = high

    def _lower_scale(self, row: int, steps: int) -> None:
        """Halve the resolution `steps` times."""
        indexes = np.arange(self._low[row], self._high[row] + 1)
        counts = self._counts[row, indexes % MAX_BUCKETS]
        self._counts[row] = 0.0
        np.add.at(self._counts[row], (indexes >> steps) % MAX_BUCKETS, counts)
        self._scale[row] -= steps
        self._low[row] >>= steps
        self._high[row] >>= steps

    def _mark_empty(self, rows: slice | npt.NDArray[np.int64]) -> None:
        self._scale[rows] = MAX_SCALE
        self._low[rows] = 0
        self._high[rows] = -1
