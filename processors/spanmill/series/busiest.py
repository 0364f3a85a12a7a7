"""Which keys of an endless stream are the busiest, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.kept_labels import kept_keys, read_labels
from spanmill.series.snapshot import LabelValues
from spanmill.series.state_reader import StateReader

FORGOTTEN: Final = 1 / 8
"""A key is forgotten when so much of one occurrence is left: after 3 half-lives without any."""


class Added(NamedTuple):
    """Where n keys stand after they were counted, and which of them were not there before.

    `slots` is int64 (n,); the keys are those from `begin` on of all that were given. `new` has
    the positions of the new ones among the n, each once.
    """

    begin: int
    slots: npt.NDArray[np.int64]
    new: npt.NDArray[np.int64]


class Busiest:
    """Counts keys with exponential decay; keeps the busy ones, exact or a little too low.

    Frequent items after Misra and Gries (1982), with the whole table lowered at once as Anderson
    et al. do ("A High-Performance Algorithm for Identifying Frequent Items in Data Streams",
    IMC 2017, sections 2 and 3), so that a new key costs constant time on average. There are
    2 x `capacity` slots. When they are full, every count is lowered by the (capacity + 1)th
    largest, and what is not above 0 is dropped. A count is never too high, and too low by at
    most `error`, which is at most the decayed sum of all that was added / (capacity + 1).
    As long as the slots suffice, counts are exact, whatever the order of additions.

    What is dropped stays in the dictionary until its slot is used again, so that dropping many at
    once is an operation on arrays. Memory: about 300 bytes a slot, and the texts of the keys.
    """

    def __init__(self, capacity: int) -> None:
        size = 2 * capacity
        self._capacity = capacity
        self._slots: dict[LabelValues, int] = {}
        self._keys: list[LabelValues | None] = [None] * size
        self._free = np.arange(size - 1, -1, -1)
        self._free_count = size
        self._counts = np.zeros(size)
        # Whole numbers until the next decay: their sum is the same in any order.
        self._recent = np.zeros(size, np.int64)
        self._came = np.zeros(size, np.bool_)
        # One more, which is never held: where keys are that aren't known.
        self._held = np.zeros(size + 1, np.bool_)
        self.error = 0.0

    def __len__(self) -> int:
        return self.size - self._free_count

    @property
    def size(self) -> int:
        """How many keys there can be at a time."""
        return 2 * self._capacity

    def add(self, keys: Sequence[LabelValues], counts: npt.NDArray[np.int64]) -> list[Added]:
        """Count keys, each `counts` (n,) times.

        Returns them in parts: the slots of a part may be used again in the next one.
        """
        return [
            self._add_part(keys[part], counts[part], part.start) for part in self._parts(len(keys))
        ]

    def put(self, keys: Sequence[LabelValues], counts: npt.NDArray[np.float64]) -> list[Added]:
        """Add counts (n,) from elsewhere to different keys; they decay as the others do.

        Returns what `add` does. It doesn't make a key one that came.
        """
        parts = []
        for part in self._parts(len(keys)):
            added = self._placed(keys[part], part.start)
            self._counts[added.slots] += counts[part]
            parts.append(added)
        return parts

    def merge(self, other: Busiest) -> None:
        """Add what another one of the same clock has counted.

        The bound on `error` holds for both streams together (Agarwal et al., "Mergeable
        Summaries", PODS 2012). While the slots suffice, counts are those of one sketch that saw
        both.
        """
        slots = other.slots()
        self.put([other.key(slot) for slot in slots.tolist()], other.counts(slots))
        self.error += other.error

    def discard(self, key: LabelValues) -> float:
        """Forget a key; returns its count, 0 where it isn't known."""
        slot = self._slots.get(key)
        if slot is None or not self._held[slot]:
            return 0.0
        count = float(self._counts[slot] + self._recent[slot])
        self._held[slot] = self._came[slot] = False
        self._counts[slot] = self._recent[slot] = 0
        self._free[self._free_count] = slot
        self._free_count += 1
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
        held = self.slots()
        faded = held[self._counts[held] <= FORGOTTEN]
        self._drop(faded)
        return came[self._held[came]]

    def kept(self, labels: int) -> State:
        """A copy of all keys, of so many labels, with their slots and counts."""
        slots = self.slots()
        held = self._keys
        keys: list[LabelValues] = [held[slot] or () for slot in slots.tolist()]
        return {
            "slots": slots.astype(np.int32),
            "keys": kept_keys(keys, labels),
            "counts": self._counts[slots],
            "recent": self._recent[slots],
            "came": self._came[slots],
            "free": self._free[: self._free_count].astype(np.int32),
            "error": self.error,
        }

    def read(self, state: StateReader, labels: int) -> list[LabelValues]:
        """Take over kept keys, where there are none yet; returns them in the order of slots.

        Raises CheckpointError where they don't fit.
        """
        slots = state.rows("slots", self.size)
        keys = read_labels(state.part("keys"), labels)
        free = state.others("free", slots, 0, self.size)
        if len(keys) != len(slots) or len(set(keys)) != len(slots):
            raise state.error("a key has no slot, or two")
        shape = (len(slots),)
        self._counts[slots] = state.array("counts", np.float64, shape)
        self._recent[slots] = state.array("recent", np.int64, shape)
        self._came[slots] = state.array("came", np.bool_, shape)
        self.error = state.number("error")
        self._held[slots] = True
        self._free[: len(free)] = free
        self._free_count = len(free)
        for key, slot in zip(keys, slots.tolist(), strict=True):
            self._slots[key] = slot
            self._keys[slot] = key
        return keys

    def slots(self) -> npt.NDArray[np.int64]:
        """The slots that have a key: int64 (n,)."""
        return np.flatnonzero(self._held)

    def counts(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The counts at these slots."""
        return self._counts[slots] + self._recent[slots]

    def key(self, slot: int) -> LabelValues:
        """The key at a slot that has one."""
        key = self._keys[slot]
        assert key is not None, "no key at this slot"
        return key

    def _parts(self, keys: int) -> list[slice]:
        step = self._capacity
        return [slice(begin, min(begin + step, keys)) for begin in range(0, keys, step)]

    def _add_part(
        self, keys: Sequence[LabelValues], counts: npt.NDArray[np.int64], begin: int
    ) -> Added:
        added = self._placed(keys, begin)
        np.add.at(self._recent, added.slots, counts)
        self._came[added.slots] = True
        return added

    def _placed(self, keys: Sequence[LabelValues], begin: int) -> Added:
        """Give each key that has none a slot."""
        slots, new = self._found(keys)
        if len(new) > self._free_count:
            self._prune()
            slots, new = self._found(keys)
        if not new:
            return Added(begin, slots, np.zeros(0, np.int64))
        self._free_count -= len(new)
        taken = self._free[self._free_count : self._free_count + len(new)].copy()
        known, held_keys = self._slots, self._keys
        for key, slot in zip(new, taken.tolist(), strict=True):
            before = held_keys[slot]
            if before is not None and known.get(before) == slot:
                del known[before]
            known[key] = slot
            held_keys[slot] = key
        self._held[taken] = True
        slots = np.fromiter(map(known.__getitem__, keys), np.int64, len(keys))
        positions = np.fromiter(new.values(), np.int64, len(new))
        return Added(begin, slots, positions)

    def _found(
        self, keys: Sequence[LabelValues]
    ) -> tuple[npt.NDArray[np.int64], dict[LabelValues, int]]:
        """The slots of the keys that are held, and each new key with its last position."""
        known, nowhere = self._slots, self.size
        slots = np.fromiter((known.get(key, nowhere) for key in keys), np.int64, len(keys))
        return slots, {keys[i]: i for i in np.flatnonzero(~self._held[slots]).tolist()}

    def _prune(self) -> None:
        held = self.slots()
        counts = self.counts(held)
        threshold = float(np.partition(counts, -self._capacity - 1)[-self._capacity - 1])
        self._counts[held] = counts - threshold
        self._recent[held] = 0
        self.error += threshold
        self._drop(held[counts <= threshold])

    def _drop(self, slots: npt.NDArray[np.int64]) -> None:
        self._held[slots] = False
        self._counts[slots] = 0.0
        self._recent[slots] = 0
        self._came[slots] = False
        self._free[self._free_count : self._free_count + len(slots)] = slots
        self._free_count += len(slots)
