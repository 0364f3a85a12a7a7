"""Counts of a sliding window that wait to be sorted into their slots."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.series.native import MAX_SCALE, bucket_index
from spanmill.series.window import SLOT_NS, WindowSlots, slots_of
from spanmill.series.window_slots import BUCKETS, CELL_BITS

SCALE: Final = 5
"""The scale of every window histogram, as the OpenTelemetry metrics data model counts it."""

ONE_SPAN: Final = 2**12
"""Counts are kept in this part of a span: a weight is exact to 0.012 %, and sums always are."""

NO_ROW: Final = -1
"""The row of a group or label set that has none."""

MAX_PENDING: Final = 65_536

_MAX_WEIGHT: Final = 2.0**24
_ENTRIES: Final = 2 * MAX_PENDING
# Upper bounds of the 32 sub-buckets of [0.5, 1]: every eighth of those that `bucket_index` has.
_MANTISSA_BOUNDS: Final = np.exp2(np.arange(256) / 256 - 1.0)[::8].copy()

Ints = npt.NDArray[np.int64]


def buckets_of(durations: npt.NDArray[np.uint64]) -> Ints:
    """The bucket of each duration, 0 for 0: int64 (n,), below BUCKETS."""
    indexes = bucket_index(durations.astype(np.float64)) >> (MAX_SCALE - SCALE)
    buckets: Ints = np.maximum(indexes + 2, 0)
    return buckets


def bounded_weights(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The weights as they count: at most 2^24, and 0 instead of less or of no number."""
    return np.fmin(np.fmax(weights, 0.0), _MAX_WEIGHT)


def parts_of(weights: npt.NDArray[np.float64]) -> Ints:
    """Weights, as `bounded_weights` gives them, in parts of a span: int64 (n,)."""
    return np.rint(weights * ONE_SPAN).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Arrived:
    """Spans that arrived together, n of them in m groups.

    `end`, `duration`: uint64 (n,), nanoseconds; `weight`: float64 (n,); `groups`: int32 (n,), the
    group of each, below m; `arrival_ns`: when they arrived, nanoseconds since the Unix epoch;
    `oldest`: the slot that those who come later belong to are gone before.
    """

    end: npt.NDArray[np.uint64]
    duration: npt.NDArray[np.uint64]
    weight: npt.NDArray[np.float64]
    groups: npt.NDArray[np.int32]
    arrival_ns: int
    oldest: int


@dataclass(frozen=True, slots=True)
class Sums:
    """All slots of a window together.

    `counts` is int64 (rows, BUCKETS) in parts of a span, `totals` int64 (rows,) their sums,
    `lows` int64 (rows,) a bucket below which a row has nothing, BUCKETS where it is empty.
    """

    counts: npt.NDArray[np.int64]
    totals: Ints
    lows: Ints

    @classmethod
    def empty(cls, rows: int) -> Sums:
        """Of so many rows; what is never written takes no memory."""
        return cls(
            np.zeros((rows, BUCKETS), np.int64),
            np.zeros(rows, np.int64),
            np.full(rows, BUCKETS, np.int64),
        )

    def add(self, cells: Ints, parts: Ints) -> None:
        """Add parts of spans to cells, numbered through row by row."""
        rows, buckets = np.divmod(cells, BUCKETS)
        np.add.at(self.counts.reshape(-1), cells, parts)
        np.add.at(self.totals, rows, parts)
        np.minimum.at(self.lows, rows, buckets)

    def subtract(self, cells: npt.NDArray[np.uint32], parts: Ints) -> None:
        """Take parts of spans from cells, each of which comes once."""
        self.counts.reshape(-1)[cells] -= parts
        np.subtract.at(self.totals, cells // BUCKETS, parts)

    def clear(self, rows: Ints) -> None:
        """Empty some rows."""
        self.counts[rows] = 0
        self.totals[rows] = 0
        self.lows[rows] = BUCKETS


class ListedPending:
    """What waits, as lists of arrays: the reference.

    At most 65,536 counts and those of one request wait.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Ints, Ints]] = []
        self.used = 0

    @property
    def full(self) -> bool:
        """Whether no more should wait."""
        return self.used >= MAX_PENDING

    def weigh(self, spans: Arrived, groups: int) -> tuple[npt.NDArray[np.float64], Ints, int]:
        """The weight and the number of each group's spans that are in time, and how many are late.

        float64 (groups,), int64 (groups,), and a number.
        """
        in_time = slots_of(spans.end, spans.arrival_ns) >= spans.oldest
        codes = spans.groups[in_time]
        weights = np.bincount(codes, bounded_weights(spans.weight[in_time]), groups)
        counts = np.bincount(codes, minlength=groups)
        return weights.astype(np.float64), counts, len(in_time) - len(codes)

    def observe(self, spans: Arrived, rows: Ints, sums: Sums, begin: int) -> int:  # noqa: ARG002
        """Count the spans that are in time and whose group has a row; returns where it ended."""
        slots = slots_of(spans.end, spans.arrival_ns)
        row = rows[spans.groups]
        counted = np.flatnonzero((slots >= spans.oldest) & (row != NO_ROW))
        cells = row[counted] * BUCKETS + buckets_of(spans.duration[counted])
        parts = parts_of(bounded_weights(spans.weight[counted]))
        sums.add(cells, parts)
        self.add(slots[counted], cells, parts, 0)
        return len(slots)

    def add(self, slots: WindowSlots, cells: Ints, parts: Ints, begin: int) -> int:
        """Let counts wait, from `begin` on; returns where it ended."""
        self._waiting.append(((slots[begin:] << CELL_BITS) | cells[begin:], parts[begin:]))
        self.used += len(cells) - begin
        return len(cells)

    def drain(self) -> tuple[Ints, Ints]:
        """All that waits, as keys and parts, and nothing waits any more."""
        keys = np.concatenate([keys for keys, _ in self._waiting])
        parts = np.concatenate([parts for _, parts in self._waiting])
        self._waiting = []
        self.used = 0
        return keys, parts


class CompiledPending:
    """What waits, in the kernel's table, each cell once: at most 65,536, 16 to 32 bytes each."""

    def __init__(self, kernel: ModuleType, seed: int) -> None:
        self._kernel = kernel
        self._table = kernel.Pending(_MANTISSA_BOUNDS, _ENTRIES, seed)

    @property
    def used(self) -> int:
        """How many counts wait."""
        used: int = self._table.used
        return used

    @property
    def full(self) -> bool:
        """Whether no more should wait."""
        return self.used >= MAX_PENDING

    def weigh(self, spans: Arrived, groups: int) -> tuple[npt.NDArray[np.float64], Ints, int]:
        """The weight and the number of each group's spans that are in time, and how many are late.

        float64 (groups,), int64 (groups,), and a number.
        """
        weights, counts = np.zeros(groups), np.zeros(groups, np.int64)
        late: int = self._kernel.weigh(
            spans.end,
            spans.weight,
            spans.groups,
            max(0, spans.arrival_ns),
            SLOT_NS,
            spans.oldest,
            weights,
            counts,
        )
        return weights, counts, late

    def observe(self, spans: Arrived, rows: Ints, sums: Sums, begin: int) -> int:
        """Count spans as the reference does, until all are counted or the table is full."""
        end: int = self._table.observe(
            spans.end,
            spans.duration,
            spans.weight,
            spans.groups,
            rows,
            max(0, spans.arrival_ns),
            SLOT_NS,
            spans.oldest,
            begin,
            sums.counts,
            sums.totals,
            sums.lows,
        )
        return end

    def add(self, slots: WindowSlots, cells: Ints, parts: Ints, begin: int) -> int:
        """Let counts wait, from `begin` on; returns where the table was full, or all were in."""
        end: int = self._table.add((slots << CELL_BITS) | cells, parts, begin)
        return end

    def drain(self) -> tuple[Ints, Ints]:
        """All that waits, as keys and parts, and nothing waits any more."""
        keys, parts = np.empty(self.used, np.int64), np.empty(self.used, np.int64)
        self._table.drain(keys, parts)
        return keys, parts
