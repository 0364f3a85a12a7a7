"""Histograms of durations: exact classic counts, and the native form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spanmill.series.column import grown
from spanmill.series.label_sets import LabelSets
from spanmill.series.native import NativeHistograms
from spanmill.series.snapshot import Histograms, NativeBuckets


class HistogramColumn:
    """Durations in nanoseconds for each label set, counted in one or several bucket layouts.

    Classic counts are exact counters for each bound. The sum is kept in nanoseconds, so that it
    is exact, and the same in whatever order the durations come, up to 2^53 ns (104 days).
    `native` adds one exponential histogram in seconds.
    """

    def __init__(
        self, label_sets: LabelSets, layouts_ns: Sequence[Sequence[int]], native: bool
    ) -> None:
        self._bounds = [np.asarray(layout, np.uint64) for layout in layouts_ns]
        self._buckets = [np.zeros((0, len(bounds) + 1)) for bounds in self._bounds]
        self._sums = np.zeros(0)
        self._native = NativeHistograms() if native else None
        label_sets.attach(self)

    def observe(
        self,
        rows: npt.NDArray[np.int64],
        durations: npt.NDArray[np.uint64],
        weights: npt.NDArray[np.float64],
    ) -> None:
        """Count durations, uint64 (n,) in ns, at rows (n,), each `weights` (n,) times."""
        nanoseconds = durations.astype(np.float64)
        np.add.at(self._sums, rows, nanoseconds * weights)
        for bounds, buckets in zip(self._bounds, self._buckets, strict=True):
            bucket = np.searchsorted(bounds, durations, side="left")
            np.add.at(buckets, (rows, bucket), weights)
        if self._native is not None:
            self._native.observe(rows, nanoseconds / 1e9, weights)

    def merge(
        self, rows: npt.NDArray[np.int64], other: HistogramColumn, others: npt.NDArray[np.int64]
    ) -> None:
        """Add what `other` has at its rows `others` to `rows`, both of shape (n,).

        Raises ValueError where the two count in other buckets.
        """
        if (self._native is None) is not (other._native is None) or not (
            len(self._bounds) == len(other._bounds)
            and all(map(np.array_equal, self._bounds, other._bounds))
        ):
            raise ValueError("histograms with other buckets can't be merged")
        np.add.at(self._sums, rows, other._sums[others])
        for buckets, more in zip(self._buckets, other._buckets, strict=True):
            np.add.at(buckets, rows, more[others])
        if self._native is not None and other._native is not None:
            for row, other_row in zip(rows.tolist(), others.tolist(), strict=True):
                self._native.merge(row, other._native, other_row)

    def snapshot(
        self, rows: npt.NDArray[np.int64], layout: int, unit_ns: int, native: bool
    ) -> Histograms:
        """A copy of one bucket layout at these rows, in units of `unit_ns` nanoseconds."""
        bucket_counts = self._buckets[layout][rows]
        return Histograms(
            bounds=tuple((self._bounds[layout].astype(np.float64) / unit_ns).tolist()),
            bucket_counts=bucket_counts,
            counts=bucket_counts.sum(axis=1),
            sums=self._sums[rows] / unit_ns,
            native=self._native_buckets(rows) if native else None,
        )

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows; new ones are empty."""
        self._buckets = [grown(buckets, capacity) for buckets in self._buckets]
        self._sums = grown(self._sums, capacity)
        if self._native is not None:
            self._native.grow(capacity)

    def reset(self, row: int) -> None:
        """Empty one row, which another label set will use."""
        for buckets in self._buckets:
            buckets[row] = 0.0
        self._sums[row] = 0.0
        if self._native is not None:
            self._native.reset(row)

    def _native_buckets(self, rows: npt.NDArray[np.int64]) -> list[NativeBuckets]:
        if self._native is None:
            raise ValueError("this histogram has no native form")
        return [self._native.buckets(row) for row in rows.tolist()]
