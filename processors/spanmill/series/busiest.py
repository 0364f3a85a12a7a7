"""Which keys of an endless stream are the busiest, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spanmill.series.snapshot import LabelValues

FORGOTTEN: Final = 1 / 8
"""A key is forgotten when so much of one occurrence is left: after 3 half-lives without any."""


class Added(NamedTuple):
    """Where keys stand after they were counted.

    `slots` is int64 (n,), the slots of keys that were not there before; `positions` are theirs
    among the keys that were given.
    """

    slots: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]


class Busiest:
    """Counts keys with exponential decay; keeps the busy ones, exact or a little too low.

    Frequent items after Misra and Gries (1982), with the whole table lowered at once as Anderson
    et al. do ("A High-Performance Algorithm for Identifying Frequent Items in Data Streams",
    IMC 2017, sections 2 and 3), so that a new key costs constant time on average. There are
    2 x `capacity` slots. When they are full, every count is lowered by the (capacity + 1)th
    largest, and what is not above 0 is dropped. A count is never too high, and too low by at
    most `error`, which is at most the decayed sum of all that was added / (capacity + 1).
    As long as the slots suffice, counts are exact, whatever the order of additions.

    Memory: about 300 bytes a slot, and the texts of the keys.
    """

    def __init__(self, capacity: int) -> None:
        size = 2 * capacity
        self._capacity = capacity
        self._slots: dict[LabelValues, int] = {}
        self._keys: list[LabelValues | None] = [None] * size
        self._free = list(range(size - 1, -1, -1))
        self._counts = np.zeros(size)
        # Whole numbers until the next decay: their sum is the same in any order.
        self._recent = np.zeros(size, np.int64)
        self._came = np.zeros(size, np.bool_)
        self.error = 0.0

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def size(self) -> int:
        """How many keys there can be at a time."""
        return 2 * self._capacity

    def add(self, keys: Sequence[LabelValues], counts: npt.NDArray[np.int64]) -> list[Added]:
        """Count keys, each `counts` (n,) times.

        Returns the new keys, in parts: the slots of a part may be used again in the next one.
        """
        step = self._capacity
        return [
            self._add_part(keys[i : i + step], counts[i : i + step], i)
            for i in range(0, len(keys), step)
        ]

    def put(self, key: LabelValues, count: float) -> Added:
        """Add a count from elsewhere to a key; it decays as the others do."""
        came = key in self._slots and bool(self._came[self._slots[key]])
        added = self._add_part([key], np.zeros(1, np.int64), 0)
        slot = self._slots[key]
        self._counts[slot] += count
        self._came[slot] = came
        return added

    def merge(self, other: Busiest) -> None:
        """Add what another one of the same clock has counted.

        The bound on `error` holds for both streams together (Agarwal et al., "Mergeable
        Summaries", PODS 2012). While the slots suffice, counts are those of one sketch that saw
        both.
        """
        slots = other.slots()
        for slot, count in zip(slots.tolist(), other.counts(slots).tolist(), strict=True):
            self.put(other.key(slot), count)
        self.error += other.error

    def discard(self, key: LabelValues) -> float:
        """Forget a key; returns its count, 0 where it isn't known."""
        slot = self._slots.get(key)
        if slot is None:
            return 0.0
        count = float(self._counts[slot] + self._recent[slot])
        self._drop(slot)
        return count

    def decay(self, factor: float) -> npt.NDArray[np.int64]:
        """Let older counts fade and take in those since the last decay.

        Returns the slots of the keys that came since then. Those of which next to nothing is
        left are forgotten.
        """
        came = np.flatnonzero(self._came)
        self._counts *= factor
        self._counts += self._recent
        self._recent[:] = 0
        self._came[:] = False
        self.error *= factor
        occupied = self.slots()
        for slot in occupied[self._counts[occupied] <= FORGOTTEN].tolist():
            self._drop(slot)
        return came

    def slots(self) -> npt.NDArray[np.int64]:
        """The slots that have a key, in no particular order."""
        return np.fromiter(self._slots.values(), np.int64, len(self._slots))

    def counts(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The counts at these slots."""
        return self._counts[slots] + self._recent[slots]

    def key(self, slot: int) -> LabelValues:
        """The key at a slot that has one."""
        key = self._keys[slot]
        assert key is not None, "no key at this slot"
        return key

    def _add_part(
        self, keys: Sequence[LabelValues], counts: npt.NDArray[np.int64], offset: int
    ) -> Added:
        known = self._slots
        new = {key: i for i, key in enumerate(keys) if key not in known}
        if len(new) > len(self._free):
            self._prune()
            new = {key: i for i, key in enumerate(keys) if key not in known}
        for key in new:
            slot = self._free.pop()
            known[key] = slot
            self._keys[slot] = key
        slots = np.fromiter((known[key] for key in keys), np.int64, len(keys))
        np.add.at(self._recent, slots, counts)
        self._came[slots] = True
        positions = np.fromiter(new.values(), np.int64, len(new))
        return Added(slots[positions], positions + offset)

    def _prune(self) -> None:
        occupied = self.slots()
        counts = self.counts(occupied)
        threshold = float(np.partition(counts, -self._capacity - 1)[-self._capacity - 1])
        self._counts[occupied] = counts - threshold
        self._recent[occupied] = 0
        self.error += threshold
        for slot in occupied[counts <= threshold].tolist():
            self._drop(slot)

    def _drop(self, slot: int) -> None:
        del self._slots[self.key(slot)]
        self._keys[slot] = None
        self._counts[slot] = 0.0
        self._recent[slot] = 0
        self._came[slot] = False
        self._free.append(slot)
