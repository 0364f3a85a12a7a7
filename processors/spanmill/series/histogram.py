"""Histograms of durations: exact classic counts, and the native form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.kernels import load_kernel
from spanmill.series.counter import CounterColumn
from spanmill.series.histogram_arrays import HistogramArrays
from spanmill.series.histogram_state import (
    HistogramState,
    HistogramStorage,
    kept_histograms,
    read_histograms,
)
from spanmill.series.histogram_table import CompactHistograms
from spanmill.series.label_sets import LabelSets
from spanmill.series.snapshot import Histograms
from spanmill.series.state_reader import StateReader


class HistogramColumn:
    """Durations in nanoseconds for each label set, counted in one or several bucket layouts.

    Classic counts are exact counters for each bound. What is counted are the finest buckets, those
    between all bounds of all layouts; a layout's bucket is the sum of those within it. The sum is
    kept in nanoseconds, so that it is exact, and the same in whatever order the durations come, up
    to 2^53 ns (104 days). `native` adds one exponential histogram in seconds.

    The counts are in the compiled table where there is one (`CompactHistograms` has its memory),
    otherwise in arrays.
    """

    def __init__(
        self, label_sets: LabelSets, layouts_ns: Sequence[Sequence[int]], native: bool
    ) -> None:
        self._layouts = [np.asarray(layout, np.uint64) for layout in layouts_ns]
        self._has_native = native
        bounds = np.unique(np.concatenate(self._layouts))
        self._buckets = len(bounds) + 1
        # The bucket of each layout that a finest bucket is a part of.
        self._parts_of = [
            np.append(np.searchsorted(layout, bounds), len(layout)).tolist()
            for layout in self._layouts
        ]
        kernel = load_kernel("spanmill.series._table")
        self._counts: HistogramStorage = (
            CompactHistograms(kernel, bounds, native)
            if kernel is not None
            else HistogramArrays(bounds, native)
        )
        label_sets.attach(self)

    def observe(
        self,
        rows: npt.NDArray[np.int64],
        durations: npt.NDArray[np.uint64],
        weights: npt.NDArray[np.float64],
    ) -> None:
        """Count durations, uint64 (n,) in ns, at rows (n,), each `weights` (n,) times."""
        self._counts.observe(rows, durations, weights)

    def observe_spans(
        self,
        rows: npt.NDArray[np.int64],
        durations: npt.NDArray[np.uint64],
        weights: npt.NDArray[np.float64],
        *,
        sizes: npt.NDArray[np.int64],
        calls: CounterColumn,
        size_sums: CounterColumn,
    ) -> int:
        """The same as `observe`, and what else a span adds to its row, at once.

        `sizes` is int64 (n,); `weights` are added to `calls`, `sizes * weights` to `size_sums`,
        which are columns of the same label sets. Returns how many weights are not 1.
        """
        return self._counts.observe_spans(
            rows, durations, weights, sizes=sizes, calls=calls.cells, size_sums=size_sums.cells
        )

    def merge(
        self, rows: npt.NDArray[np.int64], other: HistogramColumn, others: npt.NDArray[np.int64]
    ) -> None:
        """Add what `other` has at its rows `others` to `rows`, both of shape (n,).

        Raises ValueError where the two count in other buckets.
        """
        if not (
            len(self._layouts) == len(other._layouts)
            and all(map(np.array_equal, self._layouts, other._layouts))
        ):
            raise ValueError("histograms with other buckets can't be merged")
        self.merge_state(rows, other.state(others))

    def layouts_ns(self) -> tuple[tuple[int, ...], ...]:
        """The bounds of each layout, in nanoseconds."""
        return tuple(tuple(layout.tolist()) for layout in self._layouts)

    @property
    def has_native(self) -> bool:
        """Whether there is an exponential histogram beside the classic counts."""
        return self._has_native

    def state(self, rows: npt.NDArray[np.int64]) -> HistogramState:
        """A copy of what these rows have counted, int64 (s,), to be merged elsewhere."""
        return self._counts.state(rows)

    def merge_state(self, rows: npt.NDArray[np.int64], state: HistogramState) -> None:
        """Add a state to rows, int64 (s,), whichever storage it comes from.

        Associative and commutative. Its bounds must be those here. Raises ValueError where its
        shapes or its form are others.
        """
        state.check(len(rows), self._buckets, self._has_native)
        self._counts.merge_state(rows, state)

    def kept(self, rows: npt.NDArray[np.int64]) -> State:
        """A copy of these rows, and how they are counted."""
        return {
            "layouts_ns": [list(layout) for layout in self.layouts_ns()],
            "native": self._has_native,
            "counts": kept_histograms(self._counts.copy(rows), len(rows)),
        }

    def restoring(self, rows: npt.NDArray[np.int64], state: StateReader) -> Callable[[], None]:
        """What puts kept counts, of whichever storage, at these rows, which are empty."""
        state.same("layouts_ns", self.layouts_ns(), "the buckets (ns)")
        state.same("native", self._has_native, "native histograms:")
        parts = state.parts("counts")
        # Checked now, and read again when it is time: all of it at once would take much memory.
        counted = sum(len(counts.sums) for counts in self._read(parts))
        if counted != len(rows):
            raise state.error(f"{counted} histograms for {len(rows)} series")

        def restore() -> None:
            begin = 0
            for counts in self._read(parts):
                end = begin + len(counts.sums)
                self._counts.put(rows[begin:end], counts)
                begin = end

        return restore

    def _read(self, parts: Sequence[StateReader]) -> Iterator[HistogramState]:
        return read_histograms(parts, self._buckets, native=self._has_native)

    def snapshot(
        self, rows: npt.NDArray[np.int64], layout: int, unit_ns: int, native: bool
    ) -> Histograms:
        """A copy of one bucket layout at these rows, in units of `unit_ns` nanoseconds."""
        if native and not self._has_native:
            raise ValueError("this histogram has no native form")
        state = self._counts.state(rows)
        bounds = self._layouts[layout]
        bucket_counts = state.bucket_counts
        if len(self._layouts) > 1:
            bucket_counts = np.zeros((len(rows), len(bounds) + 1))
            for finest, bucket in enumerate(self._parts_of[layout]):
                bucket_counts[:, bucket] += state.bucket_counts[:, finest]
        return Histograms(
            bounds=tuple((bounds.astype(np.float64) / unit_ns).tolist()),
            bucket_counts=bucket_counts,
            counts=bucket_counts.sum(axis=1),
            sums=state.sums / unit_ns,
            native=state.native if native else None,
        )

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows; new ones are empty."""
        self._counts.grow(capacity)

    def reset(self, row: int) -> None:
        """Empty one row, which another label set will use."""
        self.reset_rows(np.array([row]))

    def reset_rows(self, rows: npt.NDArray[np.int64]) -> None:
        """Empty rows, int64 (m,), which other label sets will use."""
        self._counts.reset_rows(rows)

    def nbytes(self) -> int:
        """The memory of all rows."""
        return self._counts.nbytes()
