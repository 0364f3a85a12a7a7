"""Label sets: which series exist, how many may, and since when."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.series.column import BulkColumn, Column, RowWatcher, Stamps, grown
from spanmill.series.demand import Demand
from spanmill.series.label_hashes import RowHashes
from spanmill.series.label_rows import NO_ROW, LabelRows
from spanmill.series.limits import HALF_LIVES, Holders, Tail
from spanmill.series.snapshot import LabelValues

__all__ = ["OVERFLOW_ROW", "BulkColumn", "Column", "LabelSets", "RowWatcher", "grown"]

OVERFLOW_ROW: Final = 0
"""The row of the overflow series; it exists from the first label set that finds no room."""

LEAVING_NS: Final = 120 * 1_000_000_000
"""How long a label set that lost its place is still shown: longer than scrapes are apart."""

REMOVED_SHARE: Final = 1 / 16
"""At most so many of the limit disappear at a tick, or FEWEST_REMOVED if that is more."""

FEWEST_REMOVED: Final = 1_024

_FIRST_CAPACITY = 64
_REMEMBERED = 8_192

# What a row is: without a series, owned by its label set, or shown for a while after that.
_FREE, _HELD, _LEAVING = range(3)


class LabelSets:
    """The label sets of a group of families, each at a row that its columns share.

    At most `limit` label sets exist at a time; those that find no room share the overflow row. A
    label set that nothing was added to for `idle_timeout_ns` expires: its series disappear, and
    should it come back, it starts at 0 with a new created stamp.

    Where an owner tells the traffic of its label sets, the busiest keep the rows (`Tail` says
    how): at a tick, and only there, one may lose its place to a busier one. What was counted is
    never moved: the one stands still for LEAVING_NS, so that every scraper sees its last value,
    and then disappears; the other starts at 0. Without traffic it is first come, first served.
    Without a timeout nothing ever changes places.

    A tick does a bounded piece of work, since nothing is received meanwhile: what is due beyond
    REMOVED_SHARE disappears at the next ticks, rows in ascending order. Arrays grow before they
    are full, one column a call.

    Memory: 33 bytes a row, those of `LabelRows`, 2 MB for 8,192 label sets that were looked up
    lately, and `Tail` from the first one that finds no room. At a tick a fiftieth of the limit can
    change, so at most about a quarter as many rows are leaving.
    """

    def __init__(self, names: tuple[str, ...], limit: int, idle_timeout_ns: int | None) -> None:
        self.names = names
        self.limit = limit
        self._idle_timeout_ns = idle_timeout_ns
        self._label_rows = LabelRows(len(names))
        self._remembered: dict[LabelValues, int] = {}
        self._held = 0
        self._next_row = 1
        self._free = array("i")
        self._columns: list[Column] = []
        self._ungrown: list[Column] = []
        self._watchers: list[RowWatcher] = []
        self._capacity = self._larger = _FIRST_CAPACITY
        self._state = np.zeros(self._capacity, np.uint8)
        self._created = np.zeros(self._capacity, np.int64)
        self._last_used = np.zeros(self._capacity, np.int64)
        # Spans since the last tick, whole numbers, and those before it, of which older count less.
        self._recent = np.zeros(self._capacity, np.int64)
        self._traffic = np.zeros(self._capacity)
        self._ticked_ns = 0
        self._by_traffic = False
        self._tail: Tail | None = None
        self._row_hashes: RowHashes | None = None
        self.exchanged = 0
        """How many label sets have lost their row to a busier one since the start."""

    def __len__(self) -> int:
        return self._held

    def attach(self, column: Column) -> None:
        """Give every row a place in this column."""
        column.grow(self._larger)
        self._columns.append(column)

    def watch(self, watcher: RowWatcher) -> None:
        """Tell `watcher` of every row that its label set no longer owns."""
        self._watchers.append(watcher)

    def touch(
        self,
        rows: npt.NDArray[np.int64],
        now_ns: int,
        counts: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Do what `rows` does, for rows that are known to belong to their label sets.

        `rows` is int64 (m,), a row may come several times, but not the overflow row; `counts`,
        int64 (m,), is the number of spans that each stands for. A `RowWatcher` is told when a row
        that it remembers must not be touched any more.
        """
        self._last_used[rows] = now_ns
        if counts is not None:
            self._by_traffic = True
            np.add.at(self._recent, rows, counts)

    def rows(
        self,
        keys: Sequence[LabelValues],
        now_ns: int,
        counts: npt.NDArray[np.int64] | None = None,
    ) -> npt.NDArray[np.int64]:
        """The row of each label set, made where it is new: int64 of shape (len(keys),).

        `counts`, int64 (len(keys),), is the number of spans that each of them stands for.
        """
        remembered = self._remembered
        found = [remembered.get(key) or self._row(key, now_ns) for key in keys]
        rows = np.array(found, np.int64)
        self._last_used[rows] = now_ns
        if counts is not None:
            self._by_traffic = True
            np.add.at(self._recent, rows, counts)
        if self._held >= self.limit and self._idle_timeout_ns is not None:
            self._note_overflow(keys, rows, counts, self._idle_timeout_ns)
        if self._larger > self._capacity:
            self._grow_one()
        return rows

    def merge_rows(
        self, keys: Sequence[LabelValues | None], counted: Stamps
    ) -> npt.NDArray[np.int64]:
        """The rows of label sets that were counted elsewhere too; None is its overflow series."""
        begun = counted.created_ns.tolist()
        if None in keys and not self._state[OVERFLOW_ROW]:
            self._begin(OVERFLOW_ROW, begun[keys.index(None)])
        found = [key and self._row(key, at) for key, at in zip(keys, begun, strict=True)]
        rows = np.array([row or OVERFLOW_ROW for row in found], np.int64)
        np.minimum.at(self._created, rows, counted.created_ns)
        np.maximum.at(self._last_used, rows, counted.last_used_ns)
        np.add.at(self._recent, rows, counted.spans)
        return rows

    def stamps(self, rows: npt.NDArray[np.int64]) -> Stamps:
        """When these rows began and were last used, and their traffic, in whole spans."""
        spans = self._recent[rows] + np.rint(self._traffic[rows]).astype(np.int64)
        return Stamps(self._created[rows], self._last_used[rows], spans)

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
        same: npt.NDArray[np.bool_] = (self._state[rows] != _FREE) & (
            self._created[rows] == created_ns
        )
        return same

    def owned(self) -> npt.NDArray[np.int64]:
        """The rows that belong to their label sets now, ascending: int64 (n,)."""
        rows = np.flatnonzero(self._state == _HELD)
        return rows[1:] if self._state[OVERFLOW_ROW] else rows

    def labels(self, rows: npt.NDArray[np.int64]) -> list[LabelValues | None]:
        """The label values of these rows; None for the overflow row."""
        found: list[LabelValues | None] = []
        begin = 0
        for position in np.flatnonzero(rows == OVERFLOW_ROW).tolist():
            found.extend(self._label_rows.labels(rows[begin:position]))
            found.append(None)
            begin = position + 1
        found.extend(self._label_rows.labels(rows[begin:]))
        return found

    def created_seconds(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """When each of these rows began, seconds since the Unix epoch."""
        return self._created[rows] / 1e9

    def expire(self, now_ns: int) -> int:
        """Let time pass: remove what was idle for too long, give rows to the busiest.

        Returns how many expired.
        """
        if self._idle_timeout_ns is None:
            return 0
        expired = self._remove_due(now_ns, self._idle_timeout_ns)
        decay = self._age(now_ns, self._idle_timeout_ns)
        if self._tail is not None:
            if self._state[OVERFLOW_ROW]:
                self._exchange(self._tail, now_ns, decay)
            else:
                self._end_overflow()
        return expired

    def demand(self) -> Demand | None:
        """What is asked for as of the last tick, estimated; None while everything finds room."""
        return self._tail.demand if self._tail is not None else None

    def overflow_share(self) -> float:
        """The share of the overflow series in the recent traffic."""
        traffic = self._traffic + self._recent
        total = float(traffic.sum())
        return float(traffic[OVERFLOW_ROW]) / total if total else 0.0

    def nbytes(self) -> int:
        """The memory of the label sets themselves: neither columns nor texts nor `Tail`."""
        arrays = (self._state, self._created, self._last_used, self._recent, self._traffic)
        return (
            self._label_rows.nbytes()
            + len(self._free) * self._free.itemsize
            + sum(a.nbytes for a in arrays)
        )

    def _row(self, key: LabelValues, now_ns: int) -> int:
        """The row of a label set that isn't remembered, made where it is new."""
        row = self._label_rows.find(key)
        if row == NO_ROW or self._state[row] == _LEAVING:
            row = self._admit(key, row, now_ns)
        if row != OVERFLOW_ROW:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = row
        return row

    def _note_overflow(
        self,
        keys: Sequence[LabelValues],
        rows: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int64] | None,
        idle_timeout_ns: int,
    ) -> None:
        positions = np.flatnonzero(rows == OVERFLOW_ROW)
        if not len(positions):
            return
        if self._tail is None:
            self._row_hashes = RowHashes(len(self.names))
            self.attach(self._row_hashes)
            self._tail = Tail(self.names, self.limit, idle_timeout_ns, self._row_hashes)
        spans = counts[positions] if counts is not None else np.ones(len(positions), np.int64)
        self._tail.add([keys[i] for i in positions.tolist()], spans)

    def _end_overflow(self) -> None:
        assert self._row_hashes is not None, "it is there as long as the tail is"
        for columns in (self._columns, self._ungrown):
            columns[:] = [column for column in columns if column is not self._row_hashes]
        self._row_hashes = self._tail = None

    def _age(self, now_ns: int, idle_timeout_ns: int) -> float:
        """Let older traffic count less; returns how much is left of it."""
        # A clock that was set back stops the fading for once, rather than until it has caught up.
        passed = max(0, now_ns - self._ticked_ns)
        self._ticked_ns = now_ns
        decay: float = 0.5 ** (passed * HALF_LIVES / max(1, idle_timeout_ns))
        if self._by_traffic:
            self._traffic *= decay
            self._traffic += self._recent
            self._recent[:] = 0
        return decay

    def _exchange(self, tail: Tail, now_ns: int, decay: float) -> None:
        """Give rows to the busiest of the tail."""
        rows = self.owned()
        holders = Holders(self._label_rows.labels, rows, self._traffic[rows])
        exchange = tail.tick(now_ns, decay, holders, self.limit - len(rows))
        if not self._by_traffic:
            return
        demoted = exchange.demoted
        keys, traffic = self._label_rows.labels(demoted), self._traffic[demoted]
        self._state[demoted] = _LEAVING
        self._last_used[demoted] = now_ns
        self._traffic[demoted] = 0.0
        self._held -= len(demoted)
        self._tell_left(demoted)
        for key in exchange.promoted:
            row = self._admit(key, self._label_rows.find(key), now_ns)
            self._last_used[row] = now_ns
        tail.put(keys, traffic)
        self.exchanged += len(demoted)

    def _admit(self, key: LabelValues, leaving: int, now_ns: int) -> int:
        """Give a label set a row: the one that it is `leaving`, or another where that is NO_ROW."""
        if self._held >= self.limit:
            if not self._state[OVERFLOW_ROW]:
                self._begin(OVERFLOW_ROW, now_ns)
            return OVERFLOW_ROW
        row = leaving
        if leaving == NO_ROW:
            row = self._free_row()
            self._label_rows.put(row, key)
            self._begin(row, now_ns)
        self._state[row] = _HELD
        self._held += 1
        if self._tail is not None:
            self._traffic[row] = self._tail.admitted(key)
        return row

    def _begin(self, row: int, now_ns: int) -> None:
        self._state[row] = _HELD
        self._created[row] = self._last_used[row] = now_ns

    def _free_row(self) -> int:
        if self._free:
            return self._free.pop()
        row = self._next_row
        self._next_row += 1
        if row == self._capacity:
            self._plan_growth()
            while self._larger > self._capacity:
                self._grow_one()
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

    def _grow_one(self) -> None:
        """Grow one column, or after the last of them the arrays of the label sets themselves."""
        if self._ungrown:
            self._ungrown.pop().grow(self._larger)
            return
        self._capacity = self._larger
        self._state = grown(self._state, self._capacity)
        self._created = grown(self._created, self._capacity)
        self._last_used = grown(self._last_used, self._capacity)
        self._recent = grown(self._recent, self._capacity)
        self._traffic = grown(self._traffic, self._capacity)

    def _remove_due(self, now_ns: int, idle_timeout_ns: int) -> int:
        """Remove who left long enough ago and, returned, how many were idle for too long."""
        state, used = self._state, self._last_used
        most = max(FEWEST_REMOVED, int(self.limit * REMOVED_SHARE))
        # After a clock was set back nobody waits until it has caught up.
        over = (used <= now_ns - LEAVING_NS) | (used > now_ns)
        left = np.flatnonzero((state == _LEAVING) & over)[:most]
        idle = np.flatnonzero((state == _HELD) & (used <= now_ns - idle_timeout_ns))
        idle = idle[: most - len(left)]
        self._held -= int(np.count_nonzero(idle != OVERFLOW_ROW))
        self._remove(np.sort(np.concatenate((left, idle))))
        return len(idle)

    def _remove(self, rows: npt.NDArray[np.int64]) -> None:
        if not len(rows):
            return
        self._state[rows] = _FREE
        self._recent[rows] = 0
        self._traffic[rows] = 0.0
        for column in self._columns:
            if isinstance(column, BulkColumn):
                column.reset_rows(rows)
            else:
                for row in rows.tolist():
                    column.reset(row)
        own = rows[rows != OVERFLOW_ROW]
        self._tell_left(own)
        self._label_rows.forget(own)
        self._free.frombytes(own.astype(np.int32).tobytes())

    def _tell_left(self, rows: npt.NDArray[np.int64]) -> None:
        if len(rows):
            self._remembered.clear()
            for watcher in self._watchers:
                watcher.left(rows)
