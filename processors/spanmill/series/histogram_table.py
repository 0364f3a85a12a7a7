"""The counts of histograms in the compiled table."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from spanmill.series.histogram_state import HistogramState
from spanmill.series.native import MANTISSA_BOUNDS
from spanmill.series.snapshot import PackedNative


class CompactHistograms:
    """What `HistogramArrays` counts, in a block of memory for each row that has any counts.

    `kernel` is the module `_table`. Memory: 8 bytes an empty row; another has 24 bytes, a counter
    for each finest bucket and for zero, one for each native bucket from the lowest to the highest
    (at most 174), of 1, 2, 4 or 8 bytes as they need, and what malloc adds. With ten populated
    classic buckets that is about 200 bytes (docs/series.md).
    """

    def __init__(self, kernel: ModuleType, bounds: npt.NDArray[np.uint64], native: bool) -> None:
        self._kernel = kernel
        self._bounds = bounds
        self._table = kernel.HistogramTable(bounds, MANTISSA_BOUNDS, native)
        self._buckets = len(bounds) + 1
        self._native = native
        # What needs nothing in between, without a call more.
        self.observe = self._table.observe
        self.observe_spans = self._table.observe_spans
        self.grow = self._table.grow
        self.reset_rows = self._table.reset_rows
        self.nbytes = self._table.nbytes

    def state(self, rows: npt.NDArray[np.int64]) -> HistogramState:
        """A copy of these rows, written without an object for any of them."""
        s = len(rows)
        begins = np.zeros(s + 1, np.int64)
        if self._native:
            self._table.native_begins(rows, begins)
        native = PackedNative(
            schemas=np.empty(s, np.int8),
            zero_counts=np.empty(s),
            firsts=np.empty(s, np.int32),
            begins=begins,
            counts=np.empty(begins[-1]),
        )
        state = HistogramState(np.empty(s), np.empty((s, self._buckets)), native)
        self._table.read(rows, **_arrays(state, native))
        return state if self._native else replace(state, native=None)

    def merge_state(self, rows: npt.NDArray[np.int64], state: HistogramState) -> None:
        """Add a state that was checked to rows (s,), each as often as it comes."""
        s = len(rows)
        nothing = PackedNative(
            schemas=np.zeros(s, np.int8),
            zero_counts=np.zeros(s),
            firsts=np.zeros(s, np.int32),
            begins=np.zeros(s + 1, np.int64),
            counts=np.zeros(0),
        )
        self._table.add(rows, **_arrays(state, state.native or nothing))

    def copy(self, rows: npt.NDArray[np.int64]) -> CompactHistograms:
        """A copy of these rows, as rows 0 to s - 1 of a storage of its own: block by block."""
        copied = CompactHistograms(self._kernel, self._bounds, self._native)
        copied._table.grow(len(rows))
        copied._table.copy_rows(self._table, rows)
        return copied

    def put(self, rows: npt.NDArray[np.int64], state: HistogramState) -> None:
        """Put a state that was checked at rows (s,), which are empty, each once."""
        self.merge_state(rows, state)


def _arrays(state: HistogramState, native: PackedNative) -> dict[str, npt.NDArray[Any]]:
    """A state as the kernel takes it."""
    return {
        "sums": state.sums,
        "buckets": np.ascontiguousarray(state.bucket_counts),
        "zeros": native.zero_counts,
        "schemas": native.schemas,
        "firsts": native.firsts,
        "begins": native.begins,
        "counts": native.counts,
    }
