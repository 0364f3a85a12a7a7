"""Latency histograms over a sliding window, and the quantiles that they give."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.state_reader import StateReader
from spanmill.series.window import SlotRing, WindowSlots
from spanmill.series.window_pending import (
    NO_ROW,
    ONE_SPAN,
    SCALE,
    Arrived,
    CompiledPending,
    ListedPending,
    Sums,
    bounded_weights,
    buckets_of,
    parts_of,
)
from spanmill.series.window_slots import BUCKETS, Cells, Slots

__all__ = [
    "BUCKETS",
    "NO_ROW",
    "ONE_SPAN",
    "Arrived",
    "Cells",
    "HistogramWindow",
    "bounded_weights",
    "buckets_of",
]

MAX_ROWS: Final = 2**32 // BUCKETS
"""Rows whose cells a uint32 can tell apart."""

_CELLS_A_ROW_AND_SLOT: Final = 128
_LEAST_CELLS_A_SLOT: Final = 32_768
_ROWS_AT_A_TIME: Final = 512
_BOUNDED_EVERY: Final = 262_144  # spans
_BASE: Final = 2.0 ** (2.0**-SCALE)

# The value that stands for a bucket (b^i, b^(i+1)]: nowhere in it further off than 1.083 %.
_VALUES: Final = np.concatenate(
    ([0.0], _BASE ** np.arange(-1, BUCKETS - 2) * 2 * _BASE / (1 + _BASE))
)

# The product of a total and a quantile is rounded: 0.95 of 20 must not become the 20th.
_NOT_ABOVE: Final = 1 - 1e-12

Ints = npt.NDArray[np.int64]


class HistogramWindow:
    """A histogram of durations for each row, over the slots of a ring.

    Exponential buckets at scale 5, from 1 ns to the largest uint64, so that each quantile is
    within (b - 1) / (b + 1) = 1.083 % of the exact one, b = 2^(1/32) (DDSketch, Masson et al.
    2019, section 2.1). Counts are whole numbers of parts of a span: sums are the same in any
    order, what leaves the window is subtracted without a trace, and merging is associative and
    commutative.

    Memory: 16.4 KB a row for the window's sums (the part of it that is touched: 256 bytes for
    each power of two of durations, in pages of 4 KB), and 8 bytes for each bucket that a row
    populates in a slot (12 where sampling weights don't fit into a float32). There are at most
    128 of these for each slot and row on average (in windows of few rows 32,768 for each slot):
    beyond that the oldest slots are given up, when the window moves or after 262,144 spans, and
    at no other time: so what is given up follows from the spans and ticks alone, whoever reads
    meanwhile. Up to 65,536 counts wait to be sorted, 2 MB.

    `kernel` is the module `_window`, which does the same faster, or None; `seed`, 64 bits, is for
    its table alone and changes no result.
    """

    def __init__(
        self, ring: SlotRing, rows: int, kernel: ModuleType | None = None, seed: int = 0
    ) -> None:
        if rows > MAX_ROWS:
            raise ValueError(f"a window can have {MAX_ROWS} rows, not {rows}")
        self._ring = ring
        self._kernel = kernel
        self._max_cells = ring.length * max(rows * _CELLS_A_ROW_AND_SLOT, _LEAST_CELLS_A_SLOT)
        self._sums = Sums.empty(rows)
        self._slots = Slots(rows, kernel)
        self._unbounded = 0
        self._pending = ListedPending() if kernel is None else CompiledPending(kernel, seed)

    def weigh(self, spans: Arrived, groups: int) -> tuple[npt.NDArray[np.float64], Ints, int]:
        """The weight and the number of each group's spans that are in time, and how many are late.

        float64 (groups,), int64 (groups,), and a number.
        """
        return self._pending.weigh(spans, groups)

    def observe_groups(self, spans: Arrived, rows: Ints) -> None:
        """Count the spans that are in time; `rows`, int64 (m,), is the row of each group."""
        begin = 0
        while begin < len(spans.groups):
            begin = self._pending.observe(spans, rows, self._sums, begin)
            if self._pending.full:
                self._settle()
        self._bound_after(len(spans.groups))

    def observe(
        self,
        slots: WindowSlots,
        rows: Ints,
        durations: npt.NDArray[np.uint64],
        weights: npt.NDArray[np.float64],
    ) -> None:
        """Count spans, each `weights` times: arrays (n,); the ring covers each of the slots.

        `durations` are in nanoseconds, `weights` as `bounded_weights` gives them.
        """
        self._add(slots, rows * BUCKETS + buckets_of(durations), parts_of(weights))

    def merge(self, other: HistogramWindow, rows: Ints) -> None:
        """Add what another window has; `rows` has the row here of each of its rows, or NO_ROW.

        Slots that the ring here doesn't cover are left out: let it reach the other's time first.
        """
        cells = other.cells()
        ours = rows[cells.rows]
        kept = self._ring.covers(cells.slots) & (ours != NO_ROW)
        self._add(cells.slots[kept], (ours * BUCKETS + cells.buckets)[kept], cells.counts[kept])

    def cells(self) -> Cells:
        """A copy of all that is counted."""
        self._settle()
        return self._slots.cells()

    def slot_bytes(self) -> int:
        """The memory of all slots, in bytes."""
        self._settle()
        return self._slots.nbytes()

    def redate(self, slots: int) -> None:
        """Date every slot so many slots later, as the ring has done; earlier if below 0."""
        self._settle()
        self._slots.redate(slots)

    def state(self) -> State:
        """What a restart brings back; sums follow from it."""
        self._settle()
        return {"unbounded": self._unbounded, "slots": self._slots.state()}

    def restore(self, state: StateReader) -> None:
        """Take over a state; raises CheckpointError where it doesn't fit ring or rows."""
        unbounded = state.integer("unbounded")
        self._slots.restore(state.part("slots"))
        cells = self._slots.cells()
        if not (self._ring.covers(cells.slots) & (cells.slots <= self._ring.newest)).all():
            raise state.error("it has slots that the window doesn't cover")
        self._unbounded = unbounded
        self._sums.add(cells.rows * BUCKETS + cells.buckets, cells.counts)

    def drop_old(self) -> None:
        """Forget the slots that the ring has left."""
        self._settle()
        for slot in self._slots.numbers():
            if not self._ring.oldest <= slot <= self._ring.newest:
                self._drop(slot)
        self._bound()

    def clear(self, rows: Sequence[int]) -> None:
        """Empty some rows, which others will use."""
        if not rows:
            return
        self._settle()
        self._slots.clear(rows)
        self._sums.clear(np.array(rows, np.int64))

    def totals(self) -> npt.NDArray[np.float64]:
        """The spans of each row, all slots together: float64 (rows,)."""
        return self._sums.totals / ONE_SPAN

    def quantiles(self, quantiles: Sequence[float]) -> npt.NDArray[np.float64]:
        """The quantiles of each row in nanoseconds, NaN where it is empty: (rows, quantiles).

        `quantiles` are ascending. The quantile q is the least value that at least the share q of
        the spans doesn't exceed.
        """
        shares = np.asarray(quantiles, np.float64)
        sums = self._sums
        values = np.full((len(sums.totals), len(shares)), np.nan)
        if self._kernel is not None:
            self._kernel.quantiles(
                sums.counts, sums.totals, sums.lows, shares, _NOT_ABOVE, _VALUES, values
            )
            return values
        used = np.flatnonzero(sums.totals > 0)
        for begin in range(0, len(used), _ROWS_AT_A_TIME):
            rows = used[begin : begin + _ROWS_AT_A_TIME]
            values[rows] = _quantiles(sums.counts[rows], sums.totals[rows], shares)
        return values

    def _add(self, slots: WindowSlots, cells: Ints, parts: Ints) -> None:
        """Add parts of spans to cells, numbered through row by row."""
        self._sums.add(cells, parts)
        begin = 0
        while begin < len(cells):
            begin = self._pending.add(slots, cells, parts, begin)
            if self._pending.full:
                self._settle()
        self._bound_after(len(cells))

    def _settle(self) -> None:
        """Sort what is pending into its slots."""
        if self._pending.used:
            self._slots.add(*self._pending.drain())

    def _bound_after(self, spans: int) -> None:
        """Count spans, and see to the bound where they have become many."""
        self._unbounded += spans
        if self._unbounded >= _BOUNDED_EVERY:
            self._bound()

    def _bound(self) -> None:
        """Give up the oldest slots while there are too many counts."""
        self._settle()
        self._unbounded = 0
        if self._slots.held() > self._max_cells:
            self._slots.compact()
        while self._slots.held() > self._max_cells and len(self._slots) > 1:
            oldest = self._slots.numbers()[0]
            self._drop(oldest)
            self._ring.give_up(oldest)

    def _drop(self, slot: int) -> None:
        cells, counts = self._slots.take(slot)
        sums = self._sums
        if self._kernel is not None:
            self._kernel.subtract(cells, counts, sums.counts, sums.totals)
        else:
            sums.subtract(cells, counts)


def _quantiles(
    sums: Ints, totals: Ints, quantiles: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The quantiles of rows that have spans: sums (rows, BUCKETS) to (rows, quantiles)."""
    populated = np.flatnonzero(sums.any(axis=0))
    first, width = int(populated[0]), int(populated[-1] - populated[0]) + 1
    # All rows in a row: their running sum only grows, so that one search finds every quantile.
    running = np.cumsum(sums[:, first : first + width])
    before = np.concatenate(([0], running[width - 1 : -1 : width]))
    ranks = np.ceil(np.outer(totals, quantiles) * _NOT_ABOVE).astype(np.int64)
    found = np.searchsorted(running, before[:, np.newaxis] + np.maximum(ranks, 1))
    values: npt.NDArray[np.float64]
    values = _VALUES[found - (np.arange(len(sums)) * width)[:, np.newaxis] + first]
    return values
