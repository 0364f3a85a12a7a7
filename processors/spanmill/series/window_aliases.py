"""Rows of a window by what a decoder knows groups of spans by."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.kernels import load_kernel

_PER_ROW: Final = 4

Identities = npt.NDArray[np.uint64]


class WindowAliases:
    """Which row of a window the label set of a group has, by the group's 128-bit identity.

    At most four identities a row, 128 bytes for each row at most: see `series.aliases`, which does
    the same for the rows of label sets. There is no reference: without the kernel every group is
    looked up by its labels.
    """

    def __init__(self, kernel: ModuleType, rows: int) -> None:
        self._table = kernel.AliasTable(_PER_ROW * rows)
        # The table keeps row 0 for those who have none.
        self._table.grow(rows + 1)

    @classmethod
    def load(cls, rows: int) -> WindowAliases | None:
        """None where the kernel is not there, or where it is switched off."""
        kernel = load_kernel("spanmill.series._aliases")
        return cls(kernel, rows) if kernel is not None else None

    def find(self, identities: Identities) -> npt.NDArray[np.int64]:
        """The rows of identities (m, 2), NO_ROW where none is known: int64 (m,)."""
        rows = np.empty(len(identities), np.int64)
        missing = self._table.find(identities, rows)
        # What isn't known is -1, which is NO_ROW, and stays it.
        return rows - 1 if not missing else np.where(rows > 0, rows - 1, rows)

    def put(
        self,
        identities: Identities,
        positions: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
    ) -> None:
        """Remember the rows (k,) of the identities at these positions (k,), but not NO_ROW."""
        self._table.put(identities, positions, rows + 1)

    def forget(self, rows: Sequence[int]) -> None:
        """Forget what led to these rows."""
        if rows:
            self._table.forget(np.array(rows, np.int64) + 1)
