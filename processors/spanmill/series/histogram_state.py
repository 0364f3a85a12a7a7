"""What histograms have counted, as arrays: how it goes from one column to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from spanmill.series.native import MAX_BUCKETS, MAX_SCALE, MIN_SCALE
from spanmill.series.snapshot import PackedNative

_FURTHEST_BUCKET = 2**19
"""No bucket of a positive double is further from 0, at any scale."""


@dataclass(frozen=True, slots=True, eq=False)
class HistogramState:
    """The counts of s rows of a histogram, in nanoseconds.

    - `sums`: float64 (s,).
    - `bucket_counts`: float64 (s, b + 1), not cumulative: the finest buckets, those between all
      bounds of all layouts.
    - `native`: None where the histogram has no native form.
    """

    sums: npt.NDArray[np.float64]
    bucket_counts: npt.NDArray[np.float64]
    native: PackedNative | None

    def check(self, rows: int, buckets: int, native: bool) -> None:
        """Raise ValueError where this isn't the state of so many rows with these buckets.

        Counts are taken as they are; shapes, scales and ranges are what memory depends on.
        """
        if self.sums.shape != (rows,) or self.bucket_counts.shape != (rows, buckets):
            raise ValueError("histograms with other buckets can't be merged")
        if (self.native is None) is native:
            raise ValueError("histograms of which one has no native form can't be merged")
        if self.native is not None:
            _check_native(self.native, rows)


def _check_native(native: PackedNative, rows: int) -> None:
    begins = native.begins
    shapes = (native.schemas.shape, native.zero_counts.shape, native.firsts.shape)
    if shapes != ((rows,),) * 3 or begins.shape != (rows + 1,):
        raise ValueError("the arrays of native histograms differ in length")
    lengths = np.diff(begins)
    if begins[0] != 0 or begins[-1] != len(native.counts) or (lengths < 0).any():
        raise ValueError("native histograms whose counts don't follow each other")
    if (lengths > MAX_BUCKETS).any() or (np.abs(native.firsts) > _FURTHEST_BUCKET).any():
        raise ValueError(f"native histograms of more than {MAX_BUCKETS} buckets")
    if ((native.schemas < MIN_SCALE) | (native.schemas > MAX_SCALE)).any():
        raise ValueError(f"native histograms of a schema not in {MIN_SCALE} to {MAX_SCALE}")


class HistogramStorage(Protocol):
    """Where a histogram's counts are: arrays, or the compiled table. Both count alike."""

    def observe(
        self,
        rows: npt.NDArray[np.int64],
        durations: npt.NDArray[np.uint64],
        weights: npt.NDArray[np.float64],
    ) -> None:
        """Count durations, uint64 (n,) in ns, at rows (n,), each `weights` (n,) times."""
        ...

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
        ...

    def state(self, rows: npt.NDArray[np.int64]) -> HistogramState:
        """A copy of these rows."""
        ...

    def merge_state(self, rows: npt.NDArray[np.int64], state: HistogramState) -> None:
        """Add a state that was checked to rows (s,), each as often as it comes."""
        ...

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows; new ones are empty."""
        ...

    def reset_rows(self, rows: npt.NDArray[np.int64]) -> None:
        """Empty rows, int64 (m,), which other label sets will use."""
        ...

    def nbytes(self) -> int:
        """The memory of all rows."""
        ...
