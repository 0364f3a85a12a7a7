"""The counts of histograms in numpy's arrays: where there is no kernel, and what it must equal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spanmill.series.column import grown
from spanmill.series.histogram_state import HistogramState
from spanmill.series.native import NativeHistograms


class HistogramArrays:
    """Histograms of durations: a sum, the finest buckets and the native form of each row.

    `bounds` is uint64 (b,), ascending. Memory: 8 * (b + 2) bytes a row, and 1.3 KB with `native`.
    """

    def __init__(self, bounds: npt.NDArray[np.uint64], native: bool) -> None:
        self._bounds = bounds
        self._buckets = np.zeros((0, len(bounds) + 1))
        self._sums = np.zeros(0)
        self._native = NativeHistograms() if native else None

    def observe(
        self,
        rows: npt.NDArray[np.int64],
        durations: npt.NDArray[np.uint64],
        weights: npt.NDArray[np.float64],
    ) -> None:
        """Count durations, uint64 (n,) in ns, at rows (n,), each `weights` (n,) times."""
        nanoseconds = durations.astype(np.float64)
        np.add.at(self._sums, rows, nanoseconds * weights)
        bucket = np.searchsorted(self._bounds, durations, side="left")
        np.add.at(self._buckets, (rows, bucket), weights)
        if self._native is not None:
            self._native.observe(rows, nanoseconds / 1e9, weights)

    def observe_spans(
        self,
        rows: npt.NDArray[np.int64],
        durations: npt.NDArray[np.uint64],
        weights: npt.NDArray[np.float64],
        *,
        sizes: npt.NDArray[np.int64],
        calls: npt.NDArray[np.float64],
        size_sums: npt.NDArray[np.float64],
    ) -> int:
        """The same, and add weights to `calls` and sizes * weights to `size_sums` by row.

        Returns how many weights are not 1.
        """
        self.observe(rows, durations, weights)
        np.add.at(calls, rows, weights)
        np.add.at(size_sums, rows, sizes * weights)
        return int(np.count_nonzero(weights != 1))

    def state(self, rows: npt.NDArray[np.int64]) -> HistogramState:
        """A copy of these rows."""
        native = self._native.packed(rows) if self._native is not None else None
        return HistogramState(self._sums[rows], self._buckets[rows], native)

    def merge_state(self, rows: npt.NDArray[np.int64], state: HistogramState) -> None:
        """Add a state that was checked to rows (s,), each as often as it comes."""
        np.add.at(self._sums, rows, state.sums)
        np.add.at(self._buckets, rows, state.bucket_counts)
        if self._native is not None and state.native is not None:
            self._native.merge_packed(rows, state.native)

    def copy(self, rows: npt.NDArray[np.int64]) -> HistogramArrays:
        """A copy of these rows, as rows 0 to s - 1 of a storage of its own."""
        copied = HistogramArrays(self._bounds, self._native is not None)
        copied._buckets, copied._sums = self._buckets[rows], self._sums[rows]
        copied._native = self._native.copy(rows) if self._native is not None else None
        return copied

    def put(self, rows: npt.NDArray[np.int64], state: HistogramState) -> None:
        """Put a state that was checked at rows (s,), which are empty, each once."""
        self._sums[rows] = state.sums
        self._buckets[rows] = state.bucket_counts
        if self._native is not None and state.native is not None:
            self._native.put_packed(rows, state.native)

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows; new ones are empty."""
        self._buckets = grown(self._buckets, capacity)
        self._sums = grown(self._sums, capacity)
        if self._native is not None:
            self._native.grow(capacity)

    def reset_rows(self, rows: npt.NDArray[np.int64]) -> None:
        """Empty rows, int64 (m,), which other label sets will use."""
        self._buckets[rows] = 0.0
        self._sums[rows] = 0.0
        if self._native is not None:
            self._native.reset_rows(rows)

    def nbytes(self) -> int:
        """The memory of all rows."""
        native = self._native.nbytes() if self._native is not None else 0
        return self._buckets.nbytes + self._sums.nbytes + native
