"""Label sets: which series exist, how many may, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.column import BulkColumn, Column, RowWatcher, Stamps, grown
from spanmill.series.demand import Demand
from spanmill.series.growing_rows import FREE, HELD, LEAVING, OVERFLOW_ROW, GrowingRows
from spanmill.series.kept_labels import kept_labels, read_labels
from spanmill.series.label_hashes import RowHashes
from spanmill.series.label_rows import NO_ROW, LabelRows
from spanmill.series.limits import HALF_LIVES, Holders, Tail
from spanmill.series.snapshot import LabelValues
from spanmill.series.state_reader import VERSION, StateReader

__all__ = ["OVERFLOW_ROW", "BulkColumn", "Column", "LabelSets", "RowWatcher", "grown"]

LEAVING_NS: Final = 120 * 1_000_000_000
"""How long a label set that lost its place is still shown: longer than scrapes are apart."""

REMOVED_SHARE: Final = 1 / 16
"""At most so many of the limit disappear at a tick, or FEWEST_REMOVED if that is more."""

FEWEST_REMOVED: Final = 1_024

_REMEMBERED = 8_192
_VERSION: Final = 1  # of the kept state


class LabelSets(GrowingRows):
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
    REMOVED_SHARE disappears at the next ticks, rows in ascending order.

    Memory: that of `GrowingRows` and `LabelRows`, 2 MB for 8,192 label sets that were looked up
    lately, and `Tail` from the first one that finds no room. At a tick a fiftieth of the limit can
    change, so at most about a quarter as many rows are leaving.
    """

    def __init__(self, names: tuple[str, ...], limit: int, idle_timeout_ns: int | None) -> None:
        super().__init__(limit)
        self.names = names
        self._idle_timeout_ns = idle_timeout_ns
        self._label_rows = LabelRows(len(names))
        self._remembered: dict[LabelValues, int] = {}
        self._held = 0
        self._watchers: list[RowWatcher] = []
        self._ticked_ns = 0
        self._by_traffic = False
        self._tail: Tail | None = None
        self._row_hashes: RowHashes | None = None
        self.exchanged = 0
        """How many label sets have lost their row to a busier one since the start."""

    def __len__(self) -> int:
        return self._held

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

    def state(self) -> State:
        """A copy of all label sets and of the columns that are kept."""
        rows = self._own_rows()
        return {
            VERSION: _VERSION,
            "label_names": list(self.names),
            "limit": self.limit,
            "idle_timeout_ns": self._idle_timeout_ns,
            **self._rows_state(),
            "labels": kept_labels(self._label_rows.values(rows)),
            "ticked_ns": self._ticked_ns,
            "by_traffic": self._by_traffic,
            "exchanged": self.exchanged,
            "tail": self._tail.kept() if self._tail is not None else None,
            "hashed": self._row_hashes.known(rows) if self._row_hashes is not None else None,
        }

    def restore(self, state: State) -> None:
        """Take over label sets, rows and columns, where there are none yet.

        With another limit or timeout, who found no room is forgotten: that is estimated anew.
        Raises CheckpointError, and changes nothing, where labels or columns are others.
        """
        kept = StateReader(f"the label sets of ({', '.join(self.names)})", state)
        kept.version(_VERSION)
        kept.same("label_names", self.names, "the labels")
        restore_rows = self._rows_restoring(kept)
        rows = kept.rows("rows", kept.integer("next_row"))
        rows = rows[rows != OVERFLOW_ROW]
        labels = read_labels(kept.part("labels"), len(self.names))
        if len(labels) != len(rows) or len(set(labels)) != len(rows):
            raise kept.error("a label set has no row, or two")
        ticked_ns, by_traffic = kept.integer("ticked_ns"), kept.flag("by_traffic")
        exchanged = kept.integer("exchanged")
        tail = hashes = None
        if kept.value("tail") is not None and self._limited_as(kept):
            tail, hashes = self._new_tail(self._idle_timeout_ns or 0)
            tail.read(kept.part("tail"))
            hashed = rows[kept.array("hashed", np.bool_, rows.shape)]
        restore_rows()
        self._label_rows.put_all(rows, labels)
        self._held = len(self.owned())
        self._ticked_ns, self._by_traffic, self.exchanged = ticked_ns, by_traffic, exchanged
        if tail is not None and hashes is not None:
            self.attach(hashes)
            self._tail, self._row_hashes = tail, hashes
            if len(hashed):
                hashes.put(hashed, tail.hashes(self._label_rows.labels(hashed)))

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
        if row == NO_ROW or self._state[row] == LEAVING:
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
            self._tail, self._row_hashes = self._new_tail(idle_timeout_ns)
            self.attach(self._row_hashes)
        spans = counts[positions] if counts is not None else np.ones(len(positions), np.int64)
        self._tail.add([keys[i] for i in positions.tolist()], spans)

    def _new_tail(self, idle_timeout_ns: int) -> tuple[Tail, RowHashes]:
        row_hashes = RowHashes(len(self.names))
        return Tail(self.names, self.limit, idle_timeout_ns, row_hashes), row_hashes

    def _limited_as(self, kept: StateReader) -> bool:
        """Whether a state was written under the same limits."""
        return kept.has("limit", self.limit) and kept.has("idle_timeout_ns", self._idle_timeout_ns)

    def _own_rows(self) -> npt.NDArray[np.int64]:
        """The rows that have a label set's series, ascending."""
        rows: npt.NDArray[np.int64] = np.flatnonzero(self._state[1:]) + 1
        return rows

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
        self._state[demoted] = LEAVING
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
        self._state[row] = HELD
        self._held += 1
        if self._tail is not None:
            self._traffic[row] = self._tail.admitted(key)
        return row

    def _remove_due(self, now_ns: int, idle_timeout_ns: int) -> int:
        """Remove who left long enough ago and, returned, how many were idle for too long."""
        state, used = self._state, self._last_used
        most = max(FEWEST_REMOVED, int(self.limit * REMOVED_SHARE))
        # After a clock was set back nobody waits until it has caught up: whose last use lies ahead
        # has the whole timeout from now on, who is leaving goes.
        used[(state == HELD) & (used > now_ns)] = now_ns
        over = (used <= now_ns - LEAVING_NS) | (used > now_ns)
        left = np.flatnonzero((state == LEAVING) & over)[:most]
        idle = np.flatnonzero((state == HELD) & (used <= now_ns - idle_timeout_ns))
        idle = idle[: most - len(left)]
        self._held -= int(np.count_nonzero(idle != OVERFLOW_ROW))
        self._remove(np.sort(np.concatenate((left, idle))))
        return len(idle)

    def _remove(self, rows: npt.NDArray[np.int64]) -> None:
        if not len(rows):
            return
        self._state[rows] = FREE
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
