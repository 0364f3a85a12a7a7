"""What a label set carries: columns that share its row."""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)


class Column(Protocol):
    """Values that a label set carries, a row for each."""

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows; new ones are empty."""
        ...

    def reset(self, row: int) -> None:
        """Empty one row, which another label set will use."""
        ...


def grown(array: npt.NDArray[Scalar], rows: int) -> npt.NDArray[Scalar]:
    """A copy of `array` with more rows, the new ones zero."""
    larger = np.zeros((rows, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
