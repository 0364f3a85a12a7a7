"""What each slot of a sliding window holds: counts by cell, sorted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.state_reader import StateReader
from spanmill.series.window import WindowSlots

BUCKETS: Final = 2050
"""0, then every bucket of a uint64 at scale 5: 64 powers of two with 32 buckets each."""

CELL_BITS: Final = 32
"""A key is the number of a slot, then that of a cell: row * BUCKETS + bucket, a uint32."""

Key = TypeVar("Key", bound=np.generic)
Ints = npt.NDArray[np.int64]
CellNumbers = npt.NDArray[np.uint32]


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
class _Run:
    """Some counts of a slot: cells uint32 (n,), ascending; counts float32 or int64 (n,)."""

    cells: CellNumbers
    counts: npt.NDArray[np.float32] | Ints

    def __len__(self) -> int:
        return len(self.cells)


class Slots:
    """The counts of slots, each in runs of which one is more than twice as long as the next.

    So each count is moved a few times, however large a slot becomes. Rows that were cleared are
    left out where a run is touched next, at the latest when its slot goes. 8 bytes a count, 12
    where it doesn't fit into a float32.

    `kernel` is the module `_window`, which merges runs, or None.
    """

    def __init__(self, rows: int, kernel: ModuleType | None) -> None:
        self._rows = rows
        self._kernel = kernel
        self._runs: dict[int, list[_Run]] = {}
        self._cleared: dict[int, list[Ints]] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def numbers(self) -> list[int]:
        """The numbers of the slots, the oldest first."""
        return sorted(self._runs)

    def held(self) -> int:
        """How many counts are held, those of cleared rows included."""
        return sum(len(run) for runs in self._runs.values() for run in runs)

    def nbytes(self) -> int:
        """The memory of all counts, in bytes."""
        runs = (run for runs in self._runs.values() for run in runs)
        return sum(run.cells.nbytes + run.counts.nbytes for run in runs)

    def add(self, keys: Ints, parts: Ints) -> None:
        """Sort counts, keys and parts of a span (n,), into their slots."""
        keys, parts = _summed(keys, parts)
        slots, begins = np.unique(keys >> CELL_BITS, return_index=True)
        ends = [*begins[1:].tolist(), len(keys)]
        for slot, begin, end in zip(slots.tolist(), begins.tolist(), ends, strict=True):
            cells = (keys[begin:end] & (2**CELL_BITS - 1)).astype(np.uint32)
            self._append(slot, _run(cells, parts[begin:end]))

    def take(self, slot: int) -> tuple[CellNumbers, Ints]:
        """Remove a slot; returns its cells, ascending, and their counts."""
        self._compact(slot)
        self._cleared.pop(slot, None)
        (run,) = self._runs.pop(slot)
        return run.cells, run.counts.astype(np.int64)

    def clear(self, rows: Sequence[int]) -> None:
        """Leave out some rows from now on, until something is added to them again."""
        cleared = np.array(rows, np.int64)
        for slot in self._runs:
            self._cleared.setdefault(slot, []).append(cleared)

    def compact(self) -> None:
        """Leave no more than a count a cell."""
        for slot in self._runs:
            self._compact(slot)

    def cells(self) -> Cells:
        """A copy of all that is counted."""
        self.compact()
        order = self.numbers()
        runs = [self._runs[slot][0] for slot in order]
        empty = np.zeros(0, np.int64)
        cells = np.concatenate([empty, *(run.cells for run in runs)])
        counts = np.concatenate([empty, *(run.counts.astype(np.int64) for run in runs)])
        rows, buckets = np.divmod(cells.astype(np.int64), BUCKETS)
        slots = np.repeat(np.array(order, np.int64), [len(run) for run in runs])
        return Cells(slots, rows, buckets, counts)

    def redate(self, slots: int) -> None:
        """Give every slot a number that is higher by so many."""
        self._runs = {slot + slots: runs for slot, runs in self._runs.items()}
        self._cleared = {slot + slots: rows for slot, rows in self._cleared.items()}

    def state(self) -> State:
        """What a restart brings back; it is put in order when it is written.

        What is counted is copied as little as may be: arrays of runs are never written to.
        """
        copy = Slots(self._rows, self._kernel)
        copy._runs = {slot: list(runs) for slot, runs in self._runs.items()}
        copy._cleared = {slot: list(rows) for slot, rows in self._cleared.items()}
        return {"counted": copy._counted}

    def restore(self, state: StateReader) -> None:
        """Take over a state; raises CheckpointError, and changes nothing, where it is none."""
        counted = state.part("counted")
        slots, counts = counted.array("slots", np.int64, (None,)), counted.value("counts")
        lengths = counted.array("lengths", np.int64, (len(slots),))
        many = int(lengths.sum()) if (lengths >= 0).all() else -1
        cells = counted.array("cells", np.uint32, (many,))
        if (np.diff(slots) <= 0).any():
            raise counted.error("its slots are not in order")
        if not isinstance(counts, np.ndarray) or counts.dtype not in (np.float32, np.int64):
            raise counted.error("its counts are no numbers")
        if counts.shape != (many,) or not (np.isfinite(counts) & (counts >= 0)).all():
            raise counted.error("its counts are not one of 0 or more for each cell")
        runs = {}
        for slot, end, length in zip(slots.tolist(), np.cumsum(lengths), lengths, strict=True):
            run = cells[end - length : end].copy()
            if (run[1:] <= run[:-1]).any() or (run >= self._rows * BUCKETS).any():
                raise counted.error(f"its cells are not {self._rows} rows' in order")
            runs[slot] = [_run(run, counts[end - length : end].astype(np.int64))]
        self._runs, self._cleared = runs, {}

    def _counted(self) -> State:
        """All counts, slot by slot, each cell once, ascending."""
        self.compact()
        order = self.numbers()
        runs = [self._runs[slot][0] for slot in order]
        empty = _Run(np.zeros(0, np.uint32), np.zeros(0, np.float32))
        return {
            "slots": np.array(order, np.int64),
            "lengths": np.array([len(run) for run in runs], np.int64),
            "cells": np.concatenate([run.cells for run in (empty, *runs)]),
            "counts": _joined([run.counts for run in (empty, *runs)]),
        }

    def _append(self, slot: int, run: _Run) -> None:
        self._leave_out(slot)
        runs = self._runs.setdefault(slot, [])
        while runs and len(runs[-1]) <= 2 * len(run):
            run = self._merged(runs.pop(), run)
        runs.append(run)

    def _compact(self, slot: int) -> None:
        self._leave_out(slot)
        runs = self._runs[slot]
        while len(runs) > 1:
            run = runs.pop()
            runs.append(self._merged(runs.pop(), run))

    def _leave_out(self, slot: int) -> None:
        """Drop the counts of rows that were cleared."""
        cleared = self._cleared.pop(slot, None)
        if cleared is None:
            return
        gone = np.zeros(self._rows, np.bool_)
        gone[np.concatenate(cleared)] = True
        for i, run in enumerate(self._runs[slot]):
            kept = ~gone[run.cells // BUCKETS]
            self._runs[slot][i] = _Run(run.cells[kept], run.counts[kept])

    def _merged(self, run: _Run, more: _Run) -> _Run:
        if self._kernel is None:
            cells = np.concatenate((run.cells, more.cells))
            counts = (run.counts.astype(np.int64), more.counts.astype(np.int64))
            return _run(*_summed(cells, np.concatenate(counts)))
        room = len(run) + len(more)
        merged, sums = np.empty(room, np.uint32), np.empty(room, np.int64)
        many = self._kernel.merge(
            run.cells,
            run.counts.astype(np.int64),
            more.cells,
            more.counts.astype(np.int64),
            merged,
            sums,
        )
        return _run(merged[:many].copy(), sums[:many])


def _run(cells: CellNumbers, counts: Ints) -> _Run:
    """A run; the counts in the smaller type that keeps them exact."""
    small = counts.astype(np.float32)
    return _Run(cells, small if (small == counts).all() else counts.copy())


def _joined(
    counts: Sequence[npt.NDArray[np.float32] | Ints],
) -> npt.NDArray[np.float32] | Ints:
    """One after the other, in the smaller type if all are."""
    if all(part.dtype == np.float32 for part in counts):
        return np.concatenate(counts).astype(np.float32)
    return np.concatenate([part.astype(np.int64) for part in counts])


def _summed(keys: npt.NDArray[Key], counts: Ints) -> tuple[npt.NDArray[Key], Ints]:
    """The distinct keys, ascending, and the sum of the counts of each."""
    order = np.argsort(keys, kind="stable")
    ascending = keys[order]
    new = np.ones(len(keys), np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=new[1:])
    begins = np.flatnonzero(new)
    return ascending[begins], np.add.reduceat(counts[order], begins)
