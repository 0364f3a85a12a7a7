"""Counters and gauges: one float a label set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spanmill.series.column import grown
from spanmill.series.label_sets import LabelSets


class CounterColumn:
    """A sum for each label set, float64; sums of whole numbers are exact up to 2^53."""

    def __init__(self, label_sets: LabelSets) -> None:
        self._values = np.zeros(0)
        label_sets.attach(self)

    def add(self, rows: npt.NDArray[np.int64], amounts: npt.NDArray[np.float64]) -> None:
        """Add amounts of shape (n,) at rows of shape (n,); a row may come several times."""
        np.add.at(self._values, rows, amounts)

    def merge(
        self, rows: npt.NDArray[np.int64], other: CounterColumn, others: npt.NDArray[np.int64]
    ) -> None:
        """Add what `other` has at its rows `others` to `rows`, both of shape (n,)."""
        np.add.at(self._values, rows, other._values[others])

    def values(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """A copy of the values at these rows."""
        return self._values[rows]

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows; new ones are empty."""
        self._values = grown(self._values, capacity)

    def reset(self, row: int) -> None:
        """Empty one row, which another label set will use."""
        self._values[row] = 0.0


class GaugeColumn(CounterColumn):
    """A current value for each label set, float64."""

    def set(self, row: int, value: float) -> None:
        """Replace the value of one row."""
        self._values[row] = value
