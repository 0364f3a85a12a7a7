"""Label sets as 64-bit hashes, the same in every process."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.series.column import grown
from spanmill.series.snapshot import LabelValues

_KEY: Final = b"spanmill label values"
_REMEMBERED: Final = 4_096
_REMEMBERED_LENGTH: Final = 128

_GOLDEN: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1


class LabelHasher:
    """Hashes label values and label sets: uint64 (n, 1 + labels), the label set's in column 0.

    A value's hash is 8 bytes of BLAKE2b, so that whoever chooses names can't choose hashes; a
    label set's is mixed from those of its values and their places. The hashes of the last values
    up to 128 characters are remembered, at most 4,096 of them: at most 2.5 MB.
    """

    def __init__(self, labels: int) -> None:
        self._labels = labels
        self._remembered: dict[str, int] = {}
        places = [(place * _GOLDEN) & _MASK for place in range(1, labels + 1)]
        self._places = np.array(places, np.uint64)

    def hashes(self, keys: Sequence[LabelValues]) -> npt.NDArray[np.uint64]:
        """The hashes of these label sets and of their values."""
        remembered = self._remembered
        flat = [remembered.get(value) or self._hash(value) for key in keys for value in key]
        hashes = np.empty((len(keys), self._labels + 1), np.uint64)
        hashes[:, 1:] = np.array(flat, np.uint64).reshape(len(keys), self._labels)
        hashes[:, 0] = _mixed(_mixed(hashes[:, 1:] + self._places).sum(axis=1, dtype=np.uint64))
        return hashes

    def _hash(self, value: str) -> int:
        text = value.encode("utf-8", "surrogatepass")
        number = int.from_bytes(blake2b(text, digest_size=8, key=_KEY).digest(), "big")
        if len(value) <= _REMEMBERED_LENGTH:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[value] = number
        return number


class RowHashes:
    """The hashes of the label sets at rows, kept from one look to the next: a column.

    Memory: 8 bytes a row and label, and 8 a row. A label set whose hash isn't known has 0.
    """

    def __init__(self, labels: int) -> None:
        self._values = np.zeros((0, labels), np.uint64)
        self._label_sets = np.zeros(0, np.uint64)

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows; new ones are empty."""
        self._values = grown(self._values, capacity)
        self._label_sets = grown(self._label_sets, capacity)

    def reset(self, row: int) -> None:
        """Empty one row, which another label set will use."""
        self._label_sets[row] = 0

    def reset_rows(self, rows: npt.NDArray[np.int64]) -> None:
        """Empty these rows, int64 (m,)."""
        self._label_sets[rows] = 0

    def put(self, rows: npt.NDArray[np.int64], hashes: npt.NDArray[np.uint64]) -> None:
        """Keep the hashes, uint64 (n, 1 + labels), of rows (n,)."""
        self._label_sets[rows] = hashes[:, 0]
        self._values[rows] = hashes[:, 1:]

    def known(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """At which of these rows the hash is known: bool (n,)."""
        known: npt.NDArray[np.bool_] = self._label_sets[rows] != 0
        return known

    def of_label_sets(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        """The hashes of the label sets at these rows: uint64 (n,), 0 where they aren't known."""
        return self._label_sets[rows]

    def at(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        """A copy of the hashes at these rows, which are known: uint64 (n, 1 + labels)."""
        return np.column_stack((self._label_sets[rows], self._values[rows]))


def _mixed(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every bit moves every other."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
