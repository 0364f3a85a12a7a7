"""Records in the order in which they came, the oldest out first."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Records = npt.NDArray[np.void]
"""A structured array; its fields are those of the ring's dtype."""

_FIRST_CAPACITY: Final = 1024
_BLOCK: Final = 1024


class Ring:
    """Records of one dtype, each with a number that never comes again.

    The dtype has a field `arrival`, int64, nanoseconds since the Unix epoch. The numbers of the
    records that are there go from `first` to `next` (exclusive). The array doubles as it fills
    and doesn't shrink: whoever appends bounds it.
    """

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self._records: Records = np.zeros(_FIRST_CAPACITY, dtype)
        self.first = 0
        self.next = 0

    def __len__(self) -> int:
        return self.next - self.first

    def append(self, records: Records) -> npt.NDArray[np.int64]:
        """Take records; returns their numbers."""
        numbers = np.arange(self.next, self.next + len(records))
        if len(self) + len(records) > len(self._records):
            self._grow(len(self) + len(records))
        self._records[self._places(numbers)] = records
        self.next += len(records)
        return numbers

    def get(self, numbers: npt.NDArray[np.int64]) -> Records:
        """A copy of the records with these numbers."""
        return self._records[self._places(numbers)]

    def field(self, name: str, numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """A copy of one field of the records with these numbers."""
        return self._records[name][self._places(numbers)]

    def set(self, name: str, numbers: npt.NDArray[np.int64], values: npt.ArrayLike) -> None:
        """Replace one field of the records with these numbers."""
        self._records[name][self._places(numbers)] = values

    def all(self) -> npt.NDArray[np.int64]:
        """The numbers of all records, the oldest first."""
        return np.arange(self.first, self.next)

    def arrived_until(self, time_ns: int) -> int:
        """How many of the oldest records arrived at that time or before.

        The first that arrived later ends the count, even where a clock went back behind it.
        """
        for begin in range(self.first, self.next, _BLOCK):
            if self._records["arrival"][begin & (len(self._records) - 1)] > time_ns:
                return begin - self.first
            numbers = np.arange(begin, min(begin + _BLOCK, self.next))
            later = (self.field("arrival", numbers) > time_ns).nonzero()[0]
            if len(later):
                return begin + int(later[0]) - self.first
        return len(self)

    def take(self, count: int) -> Records:
        """Remove the oldest records and return them."""
        records = self.get(np.arange(self.first, self.first + count))
        self.first += count
        return records

    def _places(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return numbers & (len(self._records) - 1)

    def _grow(self, least: int) -> None:
        numbers = self.all()
        records = self.get(numbers)
        self._records = np.zeros(1 << (least - 1).bit_length(), self._records.dtype)
        self._records[self._places(numbers)] = records
