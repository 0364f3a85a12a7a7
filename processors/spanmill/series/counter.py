"""Counters and gauges: one float a label set."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.column import grown
from spanmill.series.kept_counts import kept_counts, read_counts
from spanmill.series.label_sets import LabelSets
from spanmill.series.state_reader import StateReader


class CounterColumn:
    """A sum for each label set, float64; sums of whole numbers are exact up to 2^53.

    `cells` is float64 (capacity,), by row: for those that add to several columns at once. `values`
    of some rows elsewhere are what `add` takes to merge them here.
    """

    def __init__(self, label_sets: LabelSets) -> None:
        self.cells = np.zeros(0)
        label_sets.attach(self)

    def add(self, rows: npt.NDArray[np.int64], amounts: npt.NDArray[np.float64]) -> None:
        """Add amounts of shape (n,) at rows of shape (n,); a row may come several times."""
        np.add.at(self.cells, rows, amounts)

    def merge(
        self, rows: npt.NDArray[np.int64], other: CounterColumn, others: npt.NDArray[np.int64]
    ) -> None:
        """Add what `other` has at its rows `others` to `rows`, both of shape (n,)."""
        np.add.at(self.cells, rows, other.cells[others])

    def values(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """A copy of the values at these rows."""
        return self.cells[rows]

    def kept(self, rows: npt.NDArray[np.int64]) -> State:
        """A copy of the values at these rows."""
        return {"values": kept_counts(self.cells[rows])}

    def restoring(self, rows: npt.NDArray[np.int64], state: StateReader) -> Callable[[], None]:
        """What puts kept values at these rows."""
        values = read_counts(state.part("values"), len(rows))
        return lambda: self.cells.__setitem__(rows, values)

    def nbytes(self) -> int:
        """The memory of all rows."""
        return self.cells.nbytes

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows; new ones are empty."""
        self.cells = grown(self.cells, capacity)

    def reset(self, row: int) -> None:
        """Empty one row, which another label set will use."""
        self.cells[row] = 0.0

    def reset_rows(self, rows: npt.NDArray[np.int64]) -> None:
        """Empty rows, int64 (m,), which other label sets will use."""
        self.cells[rows] = 0.0


class GaugeColumn(CounterColumn):
    """A current value for each label set, float64."""

    def set(self, row: int, value: float) -> None:
        """Replace the value of one row."""
        self.cells[row] = value
