"""Rows of label sets by what a decoder knows them by, so that a known group costs no labels."""

from __future__ import annotations

from types import ModuleType
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.series.label_sets import LabelSets

PER_LABEL_SET: Final = 4
"""Several groups have one label set: names that are normalised, resources of one service."""


class Aliases:
    """Which row the label set of a group of spans has, by the group's 128-bit identity.

    What isn't known, or has lost its row, is looked up by its label set, and remembered where that
    has a row of its own: a label set that found no room is looked up each time, so that limits can
    count how often it comes.

    At most four identities for each label set of the limit (or 16,384) are kept, in 256 parts; a
    part that is full is emptied. Memory: 16 bytes a place, two to four places an identity: at most
    256 bytes for each label set of the limit, about 34 where each has one; and a byte a row.

    `kernel` is the module `_aliases`. There is no reference: without it every group is looked up.
    """

    def __init__(self, kernel: ModuleType, label_sets: LabelSets) -> None:
        self._table = kernel.AliasTable(PER_LABEL_SET * label_sets.limit)
        label_sets.attach(self)
        label_sets.watch(self)

    def find(
        self, identities: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The rows of identities, uint64 (m, 2), and where that is -1: int64 (m,) and (k,)."""
        rows = np.empty(len(identities), np.int64)
        missing = self._table.find(identities, rows)
        return rows, np.flatnonzero(rows < 0) if missing else np.zeros(0, np.int64)

    def put(
        self,
        identities: npt.NDArray[np.uint64],
        positions: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
    ) -> None:
        """Remember the rows (k,) of the identities at these positions (k,), but no overflow."""
        self._table.put(identities, positions, rows)

    def nbytes(self) -> int:
        """The memory of all of them."""
        size: int = self._table.nbytes()
        return size

    def left(self, rows: npt.NDArray[np.int64]) -> None:
        """Forget what led to these rows, int64 (m,)."""
        self._table.forget(rows)

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows."""
        self._table.grow(capacity)

    def reset(self, row: int) -> None:
        """Nothing more: `left` has told of it."""

    def reset_rows(self, rows: npt.NDArray[np.int64]) -> None:
        """Nothing more: `left` has told of them."""
