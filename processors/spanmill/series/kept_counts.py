"""Counts as a kept state: nearly all are small whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.state_reader import StateReader

_LARGER: Final = 254
_OTHER: Final = 255


def kept_counts(counts: npt.NDArray[np.float64]) -> Callable[[], State]:
    """What writes these numbers (n,), later; nobody changes them any more.

    A byte each; beside it 4 for a whole number from 254 on, and 8 for any other number.
    """

    def written() -> State:
        with np.errstate(invalid="ignore"):  # what is no whole number below 2^32 stays as it is
            whole = counts.astype(np.int64)
        # Not -0, which compares as 0.
        exact = (whole == counts) & ~np.signbit(counts)
        small = np.full(len(counts), _OTHER, np.uint8)
        small[exact & (whole < 2**32)] = _LARGER
        fits = exact & (whole < _LARGER)
        small[fits] = whole[fits]
        return {
            "small": small,
            "larger": whole[small == _LARGER].astype(np.uint32),
            "others": counts[small == _OTHER],
        }

    return written


def read_counts(state: StateReader, n: int) -> npt.NDArray[np.float64]:
    """The numbers: float64 (n,); raises CheckpointError where there are not so many."""
    small = state.array("small", np.uint8, (n,))
    larger, others = small == _LARGER, small == _OTHER
    counts = small.astype(np.float64)
    counts[larger] = state.array("larger", np.uint32, (int(larger.sum()),))
    counts[others] = state.array("others", np.float64, (int(others.sum()),))
    return counts
