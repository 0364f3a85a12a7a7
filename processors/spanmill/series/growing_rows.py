"""The rows of label sets: when each began, whether it has a series, and columns that grow."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.column import Column, KeptColumn, grown
from spanmill.series.state_reader import StateReader

_log = logging.getLogger(__name__)

OVERFLOW_ROW: Final = 0
"""The row of the overflow series; it exists from the first label set that finds no room."""

FREE: Final = 0
"""A row without a series."""
HELD: Final = 1
"""A row that its label set owns."""
LEAVING: Final = 2
"""A row that is shown for a while after its label set has lost it."""

_FIRST_CAPACITY: Final = 64


class GrowingRows:
    """Rows for at most about `limit` label sets, and the columns that share them.

    Arrays grow before they are full, one column a call, so that no call takes long. Memory: 33
    bytes a row, and 4 for a free one.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._next_row = 1
        self._free = array("i")
        self._columns: list[Column] = []
        self._ungrown: list[Column] = []
        self._kept_columns: dict[str, KeptColumn] = {}
        # Columns that a state lacked, by name: they know nothing of before this time.
        self._begun_ns: dict[str, int] = {}
        self._capacity = self._larger = _FIRST_CAPACITY
        self._state = np.zeros(self._capacity, np.uint8)
        self._created = np.zeros(self._capacity, np.int64)
        self._last_used = np.zeros(self._capacity, np.int64)
        # Spans since the last tick, whole numbers, and those before it, of which older count less.
        self._recent = np.zeros(self._capacity, np.int64)
        self._traffic = np.zeros(self._capacity)

    def attach(self, column: Column) -> None:
        """Give every row a place in this column."""
        column.grow(self._larger)
        self._columns.append(column)

    def keep(self, name: str, column: KeptColumn) -> None:
        """Bring this column back after a restart, by a name that is the same in all versions."""
        assert name not in self._kept_columns, "each column has a name of its own"
        self._kept_columns[name] = column

    def keeps(self, column: object) -> bool:
        """Whether this column is brought back."""
        return any(kept is column for kept in self._kept_columns.values())

    def begun_ns(self, column: object) -> int:
        """When this column began, where that was after its rows did; otherwise 0.

        A series of it has counted since then or since its row's created stamp, if that is later.
        """
        for name, begun_ns in self._begun_ns.items():
            if self._kept_columns[name] is column:
                return begun_ns
        return 0

    def live_rows(self) -> npt.NDArray[np.int64]:
        """The rows that have a series now, in the order of their creation stamps."""
        rows, created = self.shown()
        return rows[np.argsort(created, kind="stable")]

    def shown(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The rows that have a series now, ascending, and when each began: int64 (n,), in ns."""
        rows = np.flatnonzero(self._state)
        return rows, self._created[rows]

    def still_shown(
        self, rows: npt.NDArray[np.int64], created_ns: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Which of these rows still have the series that began then: bool (n,)."""
        same: npt.NDArray[np.bool_] = (self._state[rows] != FREE) & (
            self._created[rows] == created_ns
        )
        return same

    def owned(self) -> npt.NDArray[np.int64]:
        """The rows that belong to their label sets now, ascending: int64 (n,)."""
        rows = np.flatnonzero(self._state == HELD)
        return rows[1:] if self._state[OVERFLOW_ROW] else rows

    def created_seconds(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """When each of these rows began, seconds since the Unix epoch."""
        return self._created[rows] / 1e9

    def _rows_state(self) -> State:
        """A copy of the rows that have a series, and of what their columns have there."""
        rows, created = self.shown()
        return {
            "next_row": self._next_row,
            "rows": rows.astype(np.int32),
            "leaving": self._state[rows] == LEAVING,
            "created_ns": created,
            "last_used_ns": self._last_used[rows],
            "recent": self._recent[rows],
            "traffic": self._traffic[rows],
            "free": np.array(self._free, np.int32),
            "columns": {name: column.kept(rows) for name, column in self._kept_columns.items()},
            "columns_begun_ns": dict(self._begun_ns),
        }

    def _rows_restoring(self, state: StateReader) -> Callable[[], None]:
        """What takes over rows and columns, where there are none yet.

        Columns that are here alone begin at 0 with a stamp of their own, those that the state
        alone has are dropped. Raises CheckpointError, and changes nothing, where all of them are
        others (then nothing would go on but created stamps) or what is there doesn't fit.
        """
        end = state.integer("next_row", 1)
        rows = state.rows("rows", end)
        shape = (len(rows),)
        free = state.others("free", rows[rows != OVERFLOW_ROW], 1, end)
        leaving = state.array("leaving", np.bool_, shape)
        created = state.array("created_ns", np.int64, shape)
        last_used = state.array("last_used_ns", np.int64, shape)
        recent = state.array("recent", np.int64, shape)
        traffic = state.array("traffic", np.float64, shape)
        columns, begun = state.part("columns"), state.part("columns_begun_ns")
        own, kept = list(self._kept_columns), columns.names()
        both = [name for name in own if name in kept]
        if not both and (own or kept):
            raise state.error(
                f"it has the families {', '.join(map(str, kept))}, and here they are "
                f"{', '.join(own)}"
            )
        readers = {name: StateReader(f"{state.what}, {name}", columns.value(name)) for name in kept}
        restores = [self._kept_columns[name].restoring(rows, readers[name]) for name in both]
        # What the state lacks counts what comes after all that the state knows.
        newest = int(max(created.max(), last_used.max())) if len(rows) else 0
        begun_ns = {name: begun.integer(name) for name in both if name in begun.names()}
        begun_ns |= {name: newest for name in own if name not in kept}

        def restore() -> None:
            self._next_row = end
            self._free = array("i", free.tobytes())
            self._hold(end)
            self._state[rows] = np.where(leaving, LEAVING, HELD)
            self._created[rows] = created
            self._last_used[rows] = last_used
            self._recent[rows] = recent
            self._traffic[rows] = traffic
            for restore_column in restores:
                restore_column()
            self._begun_ns = begun_ns
            for name in own:
                if name not in kept:
                    _note("a metric is not in the kept state and begins at 0", state.what, name)
            for name in kept:
                if name not in own:
                    _note("a metric of the kept state is not there any more", state.what, name)

        return restore

    def _begin(self, row: int, now_ns: int) -> None:
        self._state[row] = HELD
        self._created[row] = self._last_used[row] = now_ns

    def _free_row(self) -> int:
        if self._free:
            return self._free.pop()
        row = self._next_row
        self._next_row += 1
        if row == self._capacity:
            self._plan_growth()
            self._grow_all()
        elif row > self._capacity - self._capacity // 4 and self._capacity < self._most_rows():
            self._plan_growth()
        return row

    def _most_rows(self) -> int:
        """More rows there are only where ticks come faster than usual."""
        return self.limit + self.limit // 4 + _FIRST_CAPACITY

    def _plan_growth(self) -> None:
        if self._larger > self._capacity:
            return
        most, twice = self._most_rows(), 2 * self._capacity
        if self._capacity >= most:
            self._larger = self._capacity + self._capacity // 8
        else:
            # A last step that would be a small one is made together with the one before.
            self._larger = most if most <= twice + twice // 2 else twice
        self._ungrown = list(self._columns)

    def _grow_all(self) -> None:
        while self._larger > self._capacity:
            self._grow_one()

    def _grow_one(self) -> None:
        """Grow one column, or after the last of them the arrays of the rows themselves."""
        if self._ungrown:
            self._ungrown.pop().grow(self._larger)
            return
        self._capacity = self._larger
        self._state = grown(self._state, self._capacity)
        self._created = grown(self._created, self._capacity)
        self._last_used = grown(self._last_used, self._capacity)
        self._recent = grown(self._recent, self._capacity)
        self._traffic = grown(self._traffic, self._capacity)

    def _hold(self, rows: int) -> None:
        """Have room for at least so many rows."""
        while self._capacity < rows:
            self._plan_growth()
            self._grow_all()


def _note(message: str, part: str, name: str) -> None:
    _log.info(message, extra={"part": part, "metric": name})
