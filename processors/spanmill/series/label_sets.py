"""Label sets: which series exist, how many may, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from spanmill.series.snapshot import LabelValues

OVERFLOW_ROW: Final = 0
"""The row of the overflow series; it exists from the first label set that finds no room."""

_FIRST_CAPACITY = 64

Scalar = TypeVar("Scalar", bound=np.generic)


class Column(Protocol):
    """Values that a label set carries, a row for each."""

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows; new ones are empty."""
        ...

    def reset(self, row: int) -> None:
        """Empty one row, which another label set will use."""
        ...


class LabelSets:
    """The label sets of a group of families, each at a row that its columns share.

    At most `limit` label sets exist at a time; those that come later share the overflow row
    until one expires. A label set that nothing was added to for `idle_timeout_ns` expires: its
    series disappear, and should it come back, it starts at 0 with a new created stamp.
    """

    def __init__(self, names: tuple[str, ...], limit: int, idle_timeout_ns: int | None) -> None:
        self.names = names
        self.limit = limit
        self._idle_timeout_ns = idle_timeout_ns
        self._rows: dict[LabelValues, int] = {}
        self._labels: list[LabelValues | None] = [None]
        self._free: list[int] = []
        self._columns: list[Column] = []
        self._capacity = _FIRST_CAPACITY
        self._created = np.zeros(self._capacity, np.int64)
        self._last_used = np.zeros(self._capacity, np.int64)
        self._live = np.zeros(self._capacity, np.bool_)

    def __len__(self) -> int:
        return len(self._rows)

    def attach(self, column: Column) -> None:
        """Give every row a place in this column."""
        column.grow(self._capacity)
        self._columns.append(column)

    def rows(self, keys: Sequence[LabelValues], now_ns: int) -> npt.NDArray[np.int64]:
        """The row of each label set, made where it is new: int64 of shape (len(keys),)."""
        known = self._rows
        rows = np.empty(len(keys), np.int64)
        for i, key in enumerate(keys):
            row = known.get(key)
            rows[i] = self._admit(key, now_ns) if row is None else row
        self._last_used[rows] = now_ns
        return rows

    def live_rows(self) -> npt.NDArray[np.int64]:
        """The rows that have a series now, in the order of their creation stamps."""
        rows = np.flatnonzero(self._live)
        return rows[np.argsort(self._created[rows], kind="stable")]

    def labels(self, rows: npt.NDArray[np.int64]) -> list[LabelValues | None]:
        """The label values of these rows; None for the overflow row."""
        return [self._labels[row] for row in rows.tolist()]

    def created_seconds(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """When each of these rows began, seconds since the Unix epoch."""
        return self._created[rows] / 1e9

    def expire(self, now_ns: int) -> int:
        """Remove the label sets that were idle for too long; returns how many."""
        if self._idle_timeout_ns is None:
            return 0
        idle = self._live & (self._last_used <= now_ns - self._idle_timeout_ns)
        expired = np.flatnonzero(idle).tolist()
        for row in expired:
            self._remove(row)
        return len(expired)

    def _admit(self, key: LabelValues, now_ns: int) -> int:
        if len(self._rows) >= self.limit:
            if not self._live[OVERFLOW_ROW]:
                self._begin(OVERFLOW_ROW, now_ns)
            return OVERFLOW_ROW
        row = self._free.pop() if self._free else self._append_row()
        self._labels[row] = key
        self._rows[key] = row
        self._begin(row, now_ns)
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
            for column in self._columns:
                column.grow(self._capacity)
        return row

    def _remove(self, row: int) -> None:
        self._live[row] = False
        for column in self._columns:
            column.reset(row)
        if row != OVERFLOW_ROW:
            key = self._labels[row]
            assert key is not None, "only the overflow row has no label set"
            del self._rows[key]
            self._labels[row] = None
            self._free.append(row)


def grown(array: npt.NDArray[Scalar], rows: int) -> npt.NDArray[Scalar]:
    """A copy of `array` with more rows, the new ones zero."""
    larger = np.zeros((rows, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
