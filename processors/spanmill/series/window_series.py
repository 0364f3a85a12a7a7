"""Which label sets have a row in a window: the busiest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.snapshot import LabelValues
from spanmill.series.state_reader import StateReader
from spanmill.series.window_candidates import Candidates
from spanmill.series.window_pending import NO_ROW
from spanmill.series.window_places import read_labels, read_places, read_spans

__all__ = ["NO_ROW", "BusiestSeries"]

_HYSTERESIS: Final = 1.5
_LEAST_ACTIVITY: Final = 1.5  # two spans of late; a name that came once will hardly come again
_FEWEST_CANDIDATES: Final = 1_000


class BusiestSeries:
    """Rows for the `limit` busiest of any number of label sets.

    How busy one is: its spans, of which the share 1/n is forgotten with each slot of the n of
    the window, so that a steady stream counts as many as the window holds. A label set takes a
    free row at once, and becomes a candidate where there is none. Once a candidate has come
    twice, `step` gives it a row that has become free, or that of the least busy if it is 1.5
    times as busy: so two that are alike don't take turns.

    At most 2 x max(limit, 1,000) candidates are remembered, beyond that the busier half of them:
    one that is busy enough to matter comes back before it is forgotten, a million names that
    come once push out each other. Memory: about 300 bytes a label set and its texts.
    """

    def __init__(self, limit: int, slots: int) -> None:
        self.limit = limit
        self._keep = 1 - 1 / slots
        self._rows: dict[LabelValues, int] = {}
        self._labels: list[LabelValues | None] = []
        self._free: list[int] = []
        self._activity = np.zeros(limit)
        self._candidates = Candidates(2 * max(limit, _FEWEST_CANDIDATES))
        self.left: list[int] = []
        """The rows that label sets have lost in the last step: forget what led to them."""

    def __len__(self) -> int:
        return len(self._rows)

    def seated(self) -> Mapping[LabelValues, int]:
        """The row of each label set that has one."""
        return self._rows

    def rows(
        self, keys: Sequence[LabelValues], spans: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.int64]:
        """The row of each label set, or NO_ROW, after counting its spans: int64 (len(keys),)."""
        rows = self.seat(keys, spans)
        self.count(rows, spans)
        return rows

    def seat(
        self, keys: Sequence[LabelValues], spans: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.int64]:
        """The row of each label set, or NO_ROW; only the spans of candidates are counted."""
        known = self._rows
        rows = np.empty(len(keys), np.int64)
        for i, key in enumerate(keys):
            row = known.get(key)
            rows[i] = self._admit(key, float(spans[i])) if row is None else row
        return rows

    def count(self, rows: npt.NDArray[np.int64], spans: npt.NDArray[np.float64]) -> None:
        """Count spans, float64 (n,), of label sets that have these rows, int64 (n,), or NO_ROW."""
        seated = rows != NO_ROW
        if seated.all():
            np.add.at(self._activity, rows, spans)
        else:
            np.add.at(self._activity, rows[seated], spans[seated])

    def step(self, slots: int, empty: npt.NDArray[np.bool_]) -> list[int]:
        """Let time pass and give rows to whom they are due; returns those that change hands.

        `empty` is bool (limit,): a row that has nothing left in the window is free. The rows
        returned had spans of the label set that lost them: the caller clears them.
        """
        self.left = []
        self._forget(slots)
        rows = np.fromiter(self._rows.values(), np.int64, len(self._rows))
        for row in rows[empty[rows]].tolist():
            self._vacate(row)
        challengers = self._challengers()
        free = self.limit - len(self._rows)
        for key in islice(challengers, free):
            self._seat(key)
        return self._replace(challengers)

    def state(self) -> State:
        """What a restart brings back; rows, their activity and free ones up to the highest used."""
        used = len(self._labels)
        return {
            "labels": list(self._rows),
            "rows": list(self._rows.values()),
            "free": list(self._free),
            "activity": self._activity[:used].copy(),
            "candidates": self._candidates.state(),
        }

    def restore(self, state: StateReader) -> None:
        """Take over a state; raises CheckpointError where it doesn't fit into `limit` rows."""
        rows = state.values("rows")
        used = len(rows) + len(state.values("free"))
        if used > self.limit:
            raise state.error(f"it has {used} rows, and here there can be {self.limit}")
        keys = read_labels(state, "labels", used)
        if None in keys or len(keys) != len(rows):
            raise state.error("its label sets don't have a row each")
        free = read_places(state, "free", rows, used)
        activity = read_spans(state, "activity", used)
        self._candidates.restore(state.part("candidates"))
        self._rows = {key: row for key, row in zip(keys, rows, strict=True) if key is not None}
        self._labels = [None] * used
        for key, row in self._rows.items():
            self._labels[row] = key
        self._free = free
        self._activity[:] = 0.0
        self._activity[:used] = activity

    def _challengers(self) -> Iterator[LabelValues]:
        """The candidates to whom a row may be due, the busiest first."""
        due = _LEAST_ACTIVITY
        if len(self._rows) == self.limit:
            due = max(due, _HYSTERESIS * float(self._activity.min()))
        return self._candidates.busiest(due)

    def _admit(self, key: LabelValues, spans: float) -> int:
        if len(self._rows) < self.limit:
            return self._seat(key)
        self._candidates.add(key, spans)
        return NO_ROW

    def _forget(self, slots: int) -> None:
        """Forget the share of all spans that so many slots take with them."""
        kept = self._keep**slots
        self._activity *= kept
        self._candidates.fade(kept)

    def _replace(self, challengers: Iterator[LabelValues]) -> list[int]:
        """Let the busiest candidates have the rows of the least busy, as far as they are due."""
        changed = []
        least_busy = np.argsort(self._activity[: len(self._labels)], kind="stable").tolist()
        for challenger, row in zip(challengers, least_busy, strict=False):
            activity = float(self._activity[row])
            if self._candidates.spans(challenger) < _HYSTERESIS * activity:
                break
            loser = self._vacate(row)
            self._seat(challenger)
            self._candidates.add(loser, activity)
            changed.append(row)
        return changed

    def _seat(self, key: LabelValues) -> int:
        if self._free:
            row = self._free.pop()
            self._labels[row] = key
        else:
            row = len(self._labels)
            self._labels.append(key)
        self._rows[key] = row
        self._activity[row] = self._candidates.take(key)
        return row

    def _vacate(self, row: int) -> LabelValues:
        key = self._labels[row]
        assert key is not None, "only a row that is taken can be vacated"
        del self._rows[key]
        self._labels[row] = None
        self._activity[row] = 0.0
        self._free.append(row)
        self.left.append(row)
        return key
