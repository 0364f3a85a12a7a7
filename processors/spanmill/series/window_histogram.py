"""Latency histograms over a sliding window, and the quantiles that they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from spanmill.series.label_sets import grown
from spanmill.series.native import MAX_SCALE, bucket_index
from spanmill.series.window import SlotRing, WindowSlots

SCALE: Final = 5
"""The scale of every window histogram, as the OpenTelemetry metrics data model counts it."""

BUCKETS: Final = 2050
"""0, then every bucket of a uint64 at this scale: 64 powers of two with 32 buckets each."""

MAX_ROWS: Final = 2**32 // BUCKETS
"""Rows whose cells a uint32 can tell apart."""

ONE_SPAN: Final = 2**12
"""Counts are kept in this part of a span: a weight is exact to 0.012 %, and sums always are."""

_MAX_WEIGHT: Final = 2.0**24
_CELLS_A_ROW_AND_SLOT: Final = 128
_LEAST_CELLS_A_SLOT: Final = 32_768
_MAX_PENDING: Final = 65_536
_ROWS_AT_A_TIME: Final = 512
_BASE: Final = 2.0 ** (2.0**-SCALE)

# The value that stands for a bucket (b^i, b^(i+1)]: nowhere in it further off than 1.083 %.
_VALUES: Final = np.concatenate(
    ([0.0], _BASE ** np.arange(-1, BUCKETS - 2) * 2 * _BASE / (1 + _BASE))
)

# The product of a total and a quantile is rounded: 0.95 of 20 must not become the 20th.
_NOT_ABOVE: Final = 1 - 1e-12

Key = TypeVar("Key", bound=np.generic)
Ints = npt.NDArray[np.int64]


def buckets_of(durations: npt.NDArray[np.uint64]) -> Ints:
    """The bucket of each duration, 0 for 0: int64 (n,), below BUCKETS."""
    indexes = bucket_index(durations.astype(np.float64)) >> (MAX_SCALE - SCALE)
    buckets: Ints = np.maximum(indexes + 2, 0)
    return buckets


def bounded_weights(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The weights as they count: at most 2^24, and 0 instead of less or of no number."""
    return np.fmin(np.fmax(weights, 0.0), _MAX_WEIGHT)


@dataclass(frozen=True, slots=True)
class Cells:
    """How many spans a window has, by slot, row and bucket: arrays (n,), no cell twice.

    `slots` and `rows` are int64, `buckets` int64 below BUCKETS, `counts` int64 in parts of a span
    (ONE_SPAN). Sorted by slot, row and bucket: windows with the same content have the same cells.
    """

    slots: WindowSlots
    rows: Ints
    buckets: Ints
    counts: Ints


@dataclass(frozen=True, slots=True)
class _Slot:
    """The counts of one slot: cells uint32 (n,), ascending; counts float32 or int64 (n,)."""

    cells: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.float32] | Ints


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
    beyond that the oldest slots are given up.
    """

    def __init__(self, ring: SlotRing, rows: int) -> None:
        if rows > MAX_ROWS:
            raise ValueError(f"a window can have {MAX_ROWS} rows, not {rows}")
        self._ring = ring
        self._limit = rows
        self._max_cells = ring.length * max(rows * _CELLS_A_ROW_AND_SLOT, _LEAST_CELLS_A_SLOT)
        self._sums = np.zeros((0, BUCKETS), np.int64)
        self._slots: dict[int, _Slot] = {}
        self._pending: list[tuple[Ints, Ints]] = []
        self._pending_size = 0

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
        parts = np.rint(weights * ONE_SPAN).astype(np.int64)
        self._add(slots, rows * BUCKETS + buckets_of(durations), parts)

    def merge(self, other: HistogramWindow, rows: Ints) -> None:
        """Add what another window has; `rows` has the row here of each of its rows, or -1.

        Slots that the ring here doesn't cover are left out: let it reach the other's time first.
        """
        cells = other.cells()
        ours = rows[cells.rows]
        kept = self._ring.covers(cells.slots) & (ours >= 0)
        self._add(cells.slots[kept], (ours * BUCKETS + cells.buckets)[kept], cells.counts[kept])

    def cells(self) -> Cells:
        """A copy of all that is counted."""
        self._settle()
        order = sorted(self._slots)
        sizes = [len(self._slots[slot].cells) for slot in order]
        empty = np.zeros(0, np.int64)
        cells = np.concatenate([empty, *(self._slots[slot].cells for slot in order)])
        counts = np.concatenate(
            [empty, *(self._slots[slot].counts.astype(np.int64) for slot in order)]
        )
        rows, buckets = np.divmod(cells.astype(np.int64), BUCKETS)
        return Cells(np.repeat(np.array(order, np.int64), sizes), rows, buckets, counts)

    def slot_bytes(self) -> int:
        """The memory of all slots, in bytes."""
        self._settle()
        return sum(slot.cells.nbytes + slot.counts.nbytes for slot in self._slots.values())

    def drop_old(self) -> None:
        """Forget the slots that the ring has left."""
        self._settle()
        for slot in [slot for slot in self._slots if not self._in_ring(slot)]:
            self._drop(slot)

    def clear(self, rows: Sequence[int]) -> None:
        """Empty some rows, which others will use."""
        if not rows:
            return
        self._settle()
        for number, slot in list(self._slots.items()):
            kept = ~np.isin(slot.cells // BUCKETS, rows)
            self._slots[number] = _Slot(slot.cells[kept], slot.counts[kept])
        self._sums[[row for row in rows if row < len(self._sums)]] = 0

    def totals(self) -> npt.NDArray[np.float64]:
        """The spans of each row, all slots together: float64 (rows,)."""
        totals = np.zeros(self._limit)
        totals[: len(self._sums)] = self._sums.sum(axis=1) / ONE_SPAN
        return totals

    def quantiles(self, quantiles: Sequence[float]) -> npt.NDArray[np.float64]:
        """The quantiles of each row in nanoseconds, NaN where it is empty: (rows, quantiles).

        The quantile q is the least value that at least the share q of the spans doesn't exceed.
        """
        values = np.full((self._limit, len(quantiles)), np.nan)
        for begin in range(0, len(self._sums), _ROWS_AT_A_TIME):
            sums = self._sums[begin : begin + _ROWS_AT_A_TIME]
            values[begin : begin + len(sums)] = _quantiles(sums, np.asarray(quantiles))
        return values

    def _add(self, slots: WindowSlots, cells: Ints, parts: Ints) -> None:
        """Add parts of spans to cells, numbered through row by row."""
        if not len(cells):
            return
        self._make_room(int(cells.max()) // BUCKETS + 1)
        np.add.at(self._sums.reshape(-1), cells, parts)
        self._pending.append(((slots << 32) | cells, parts))
        self._pending_size += len(cells)
        if self._pending_size >= _MAX_PENDING:
            self._settle()

    def _make_room(self, rows: int) -> None:
        if rows > len(self._sums):
            larger = min(self._limit, max(rows, 2 * len(self._sums), 64))
            self._sums = grown(self._sums, larger)

    def _settle(self) -> None:
        """Sort what is pending into its slots."""
        if not self._pending:
            return
        keys, parts = _summed(
            np.concatenate([keys for keys, _ in self._pending]),
            np.concatenate([parts for _, parts in self._pending]),
        )
        self._pending = []
        self._pending_size = 0
        slots, begins = np.unique(keys >> 32, return_index=True)
        ends = [*begins[1:].tolist(), len(keys)]
        for slot, begin, end in zip(slots.tolist(), begins.tolist(), ends, strict=True):
            cells = (keys[begin:end] & 0xFFFF_FFFF).astype(np.uint32)
            self._slots[slot] = _joined(self._slots.get(slot), cells, parts[begin:end])
        self._stay_in_bounds()

    def _stay_in_bounds(self) -> None:
        cells = sum(len(slot.cells) for slot in self._slots.values())
        while cells > self._max_cells and len(self._slots) > 1:
            oldest = min(self._slots)
            cells -= len(self._slots[oldest].cells)
            self._drop(oldest)
            self._ring.give_up(oldest)

    def _in_ring(self, slot: int) -> bool:
        return self._ring.oldest <= slot <= self._ring.newest

    def _drop(self, slot: int) -> None:
        gone = self._slots.pop(slot)
        self._sums.reshape(-1)[gone.cells] -= gone.counts.astype(np.int64)


def _joined(slot: _Slot | None, cells: npt.NDArray[np.uint32], counts: Ints) -> _Slot:
    """A slot with more cells, sorted; the counts in the smaller type that keeps them exact."""
    if slot is not None:
        cells, counts = _summed(
            np.concatenate([slot.cells, cells]),
            np.concatenate([slot.counts.astype(np.int64), counts]),
        )
    small = counts.astype(np.float32)
    return _Slot(cells, small if (small == counts).all() else counts)


def _summed(keys: npt.NDArray[Key], counts: Ints) -> tuple[npt.NDArray[Key], Ints]:
    """The distinct keys, ascending, and the sum of the counts of each."""
    order = np.argsort(keys, kind="stable")
    ascending = keys[order]
    new = np.ones(len(keys), np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=new[1:])
    begins = np.flatnonzero(new)
    return ascending[begins], np.add.reduceat(counts[order], begins)


def _quantiles(sums: Ints, quantiles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The quantiles of each row of sums (rows, BUCKETS): (rows, quantiles), NaN without spans."""
    values = np.full((len(sums), len(quantiles)), np.nan)
    totals = sums.sum(axis=1)
    used = np.flatnonzero(totals > 0)
    if not len(used):
        return values
    populated = np.flatnonzero(sums.any(axis=0))
    first, width = int(populated[0]), int(populated[-1] - populated[0]) + 1
    # All rows in a row: their running sum only grows, so that one search finds every quantile.
    running = np.cumsum(sums[used, first : first + width])
    before = np.concatenate(([0], running[width - 1 : -1 : width]))
    ranks = np.ceil(np.outer(totals[used], quantiles) * _NOT_ABOVE).astype(np.int64)
    found = np.searchsorted(running, before[:, np.newaxis] + np.maximum(ranks, 1))
    values[used] = _VALUES[found - (np.arange(len(used)) * width)[:, np.newaxis] + first]
    return values
