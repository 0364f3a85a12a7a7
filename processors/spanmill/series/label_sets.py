"""Label sets: which series exist, how many may, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.series.column import Column, RowWatcher, grown
from spanmill.series.demand import Demand
from spanmill.series.label_hashes import RowHashes
from spanmill.series.limits import HALF_LIVES, Holders, Tail
from spanmill.series.snapshot import LabelValues

__all__ = ["OVERFLOW_ROW", "Column", "LabelSets", "RowWatcher", "grown"]

OVERFLOW_ROW: Final = 0
"""The row of the overflow series; it exists from the first label set that finds no room."""

LEAVING_NS: Final = 120 * 1_000_000_000
"""How long a label set that lost its place is still shown: longer than scrapes are apart."""

_FIRST_CAPACITY = 64


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

    Memory: 33 bytes a row, the label values, and `Tail` from the first one that finds no room.
    At a tick a fiftieth of the limit can change, so at most a quarter as many rows are leaving.
    """

    def __init__(self, names: tuple[str, ...], limit: int, idle_timeout_ns: int | None) -> None:
        self.names = names
        self.limit = limit
        self._idle_timeout_ns = idle_timeout_ns
        self._rows: dict[LabelValues, int] = {}
        self._leaving: dict[LabelValues, int] = {}
        self._labels: list[LabelValues | None] = [None]
        self._free: list[int] = []
        self._columns: list[Column] = []
        self._watchers: list[RowWatcher] = []
        self._capacity = _FIRST_CAPACITY
        self._created = np.zeros(self._capacity, np.int64)
        self._last_used = np.zeros(self._capacity, np.int64)
        self._live = np.zeros(self._capacity, np.bool_)
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
        return len(self._rows)

    def attach(self, column: Column) -> None:
        """Give every row a place in this column."""
        column.grow(self._capacity)
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

        `rows` is int64 (m,), each at most once and none of them the overflow row; `counts`,
        int64 (m,), is the number of spans that each stands for. A `RowWatcher` is told when a row
        that it remembers must not be touched any more.
        """
        self._last_used[rows] = now_ns
        if counts is not None:
            self._by_traffic = True
            self._recent[rows] += counts

    def rows(
        self,
        keys: Sequence[LabelValues],
        now_ns: int,
        counts: npt.NDArray[np.int64] | None = None,
    ) -> npt.NDArray[np.int64]:
        """The row of each label set, made where it is new: int64 of shape (len(keys),).

        `counts`, int64 (len(keys),), is the number of spans that each of them stands for.
        """
        known = self._rows
        rows = np.empty(len(keys), np.int64)
        for i, key in enumerate(keys):
            row = known.get(key)
            rows[i] = self._admit(key, now_ns) if row is None else row
        self._last_used[rows] = now_ns
        if counts is not None:
            self._by_traffic = True
            np.add.at(self._recent, rows, counts)
        if len(known) >= self.limit and self._idle_timeout_ns is not None:
            self._note_overflow(keys, rows, counts, self._idle_timeout_ns)
        return rows

    def live_rows(self) -> npt.NDArray[np.int64]:
        """The rows that have a series now, in the order of their creation stamps."""
        rows = np.flatnonzero(self._live)
        return rows[np.argsort(self._created[rows], kind="stable")]

    def shown(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The rows that have a series now, ascending, and when each began: int64 (n,), in ns."""
        rows = np.flatnonzero(self._live)
        return rows, self._created[rows]

    def still_shown(
        self, rows: npt.NDArray[np.int64], created_ns: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Which of these rows still have the series that began then: bool (n,)."""
        same: npt.NDArray[np.bool_] = self._live[rows] & (self._created[rows] == created_ns)
        return same

    def labels(self, rows: npt.NDArray[np.int64]) -> list[LabelValues | None]:
        """The label values of these rows; None for the overflow row."""
        return [self._labels[row] for row in rows.tolist()]

    def created_seconds(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """When each of these rows began, seconds since the Unix epoch."""
        return self._created[rows] / 1e9

    def expire(self, now_ns: int) -> int:
        """Let time pass: remove what was idle for too long, give rows to the busiest.

        Returns how many expired.
        """
        if self._idle_timeout_ns is None:
            return 0
        self._remove_left(now_ns)
        idle = self._live & (self._last_used <= now_ns - self._idle_timeout_ns)
        idle[list(self._leaving.values())] = False
        expired = np.flatnonzero(idle).tolist()
        for row in expired:
            self._remove(row)
        self._tell_left(expired)
        decay = self._age(now_ns, self._idle_timeout_ns)
        if self._tail is not None:
            if self._live[OVERFLOW_ROW]:
                self._exchange(self._tail, now_ns, decay)
            else:
                self._end_overflow()
        return len(expired)

    def demand(self) -> Demand | None:
        """What is asked for as of the last tick, estimated; None while everything finds room."""
        return self._tail.demand if self._tail is not None else None

    def overflow_share(self) -> float:
        """The share of the overflow series in the recent traffic."""
        traffic = self._traffic + self._recent
        total = float(traffic.sum())
        return float(traffic[OVERFLOW_ROW]) / total if total else 0.0

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
        self._columns.remove(self._row_hashes)
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
        rows = np.fromiter(self._rows.values(), np.int64, len(self._rows))
        holders = Holders(list(self._rows), rows, self._traffic[rows])
        exchange = tail.tick(now_ns, decay, holders, self.limit - len(rows))
        if not self._by_traffic:
            return
        demoted = []
        for row in exchange.demoted:
            key = self._key(row)
            demoted.append((key, float(self._traffic[row])))
            self._leaving[key] = self._rows.pop(key)
            self._last_used[row] = now_ns
            self._traffic[row] = 0.0
        for key in exchange.promoted:
            self._last_used[self._admit(key, now_ns)] = now_ns
        for key, traffic in demoted:
            tail.put(key, traffic)
        self.exchanged += len(demoted)
        self._tell_left(exchange.demoted)

    def _key(self, row: int) -> LabelValues:
        key = self._labels[row]
        assert key is not None, "only the overflow row has no label set"
        return key

    def _admit(self, key: LabelValues, now_ns: int) -> int:
        if len(self._rows) >= self.limit:
            if not self._live[OVERFLOW_ROW]:
                self._begin(OVERFLOW_ROW, now_ns)
            return OVERFLOW_ROW
        row = self._leaving.pop(key, None)
        if row is None:
            row = self._free.pop() if self._free else self._append_row()
            self._labels[row] = key
            self._begin(row, now_ns)
        self._rows[key] = row
        if self._tail is not None:
            self._traffic[row] = self._tail.admitted(key)
        return row

    def _begin(self, row: int, now_ns: int) -> None:
        self._live[row] = True
        self._created[row] = now_ns

    def _append_row(self) -> int:
        row = len(self._labels)
        self._labels.append(None)
        if row == self._capacity:
            self._capacity *= 2
            self._created = grown(self._created, self._capacity)
            self._last_used = grown(self._last_used, self._capacity)
            self._live = grown(self._live, self._capacity)
            self._recent = grown(self._recent, self._capacity)
            self._traffic = grown(self._traffic, self._capacity)
            for column in self._columns:
                column.grow(self._capacity)
        return row

    def _remove(self, row: int) -> None:
        self._live[row] = False
        self._recent[row] = 0
        self._traffic[row] = 0.0
        for column in self._columns:
            column.reset(row)
        if row != OVERFLOW_ROW:
            key = self._key(row)
            if self._leaving.pop(key, None) is None:
                del self._rows[key]
            self._labels[row] = None
            self._free.append(row)

    def _remove_left(self, now_ns: int) -> None:
        left = [r for r in self._leaving.values() if self._last_used[r] <= now_ns - LEAVING_NS]
        for row in left:
            self._remove(row)
        self._tell_left(left)

    def _tell_left(self, rows: list[int]) -> None:
        if rows:
            for watcher in self._watchers:
                watcher.left(np.array(rows, np.int64))
