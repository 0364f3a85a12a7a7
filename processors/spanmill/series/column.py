"""What a label set carries: columns that share its row."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.state_reader import StateReader

Scalar = TypeVar("Scalar", bound=np.generic)


class Column(Protocol):
    """Values that a label set carries, a row for each."""

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows; new ones are empty."""
        ...

    def reset(self, row: int) -> None:
        """Empty one row, which another label set will use."""
        ...


@runtime_checkable
class BulkColumn(Column, Protocol):
    """A column that empties many rows at once: thousands may expire at one tick."""

    def reset_rows(self, rows: npt.NDArray[np.int64]) -> None:
        """Do what `reset` does for each of these rows, int64 (m,), ascending."""
        ...


@runtime_checkable
class KeptColumn(Protocol):
    """A column that a restart brings back."""

    def kept(self, rows: npt.NDArray[np.int64]) -> State:
        """A copy of rows (n,), which later changes don't touch."""
        ...

    def restoring(self, rows: npt.NDArray[np.int64], state: StateReader) -> Callable[[], None]:
        """What puts this state at rows (n,), which are empty, once there is room for them.

        Raises CheckpointError, and changes nothing, where it doesn't fit.
        """
        ...


class RowWatcher(Protocol):
    """Whoever remembers rows by something else than their label sets, such as aliases.

    A label set that found no room must be asked for anew each time: the overflow row is no one's
    to remember.
    """

    def left(self, rows: npt.NDArray[np.int64]) -> None:
        """The label sets of these rows, int64 (m,), don't own them any more: forget them.

        It is called when rows lose their place to busier ones (they are still shown for a while,
        but nothing may be added to them) and when they are removed, so twice for some. Afterwards
        a row may belong to another label set.
        """
        ...


class Stamps(NamedTuple):
    """Rows in time: int64 (n,) each; nanoseconds since the Unix epoch, and recent spans."""

    created_ns: npt.NDArray[np.int64]
    last_used_ns: npt.NDArray[np.int64]
    spans: npt.NDArray[np.int64]


def grown(array: npt.NDArray[Scalar], rows: int) -> npt.NDArray[Scalar]:
    """A copy of `array` with more rows, the new ones zero."""
    larger = np.zeros((rows, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
