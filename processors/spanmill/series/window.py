"""Sliding windows in slots of 10 seconds: which slot a span belongs to, and which are there."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.state_reader import StateReader

SLOT_NS: Final = 10_000_000_000
"""The length of a slot, in nanoseconds."""

_WAITED_SLOTS: Final = 6  # a minute

WindowSlots = npt.NDArray[np.int64]
"""Numbers of slots: nanoseconds since the Unix epoch, divided by the length of a slot."""


def slots_of(end: npt.NDArray[np.uint64], arrival_ns: int) -> WindowSlots:
    """The slot of each span, by the earlier of its end and its arrival: int64 (n,).

    So a fast clock can't write the future, and a backlog goes where it belongs. `end` is uint64
    (n,), nanoseconds since the Unix epoch, and may be anything.
    """
    times = np.minimum(end, np.uint64(max(0, arrival_ns)))
    return (times // np.uint64(SLOT_NS)).astype(np.int64)


class SlotRing:
    """The slots that a sliding window has at a time: the newest one and those before it.

    The ring of a window of w slots is w + 1 long: as the newest slot is not full yet, the window
    then covers its length or up to 10 s more, never less. What is stored in a slot is not known
    here; whoever stores it drops what `advance` names.

    The newest slot follows the latest time that was read. Times that fall by less than a minute
    (or than the ring covers, if that is less) move nothing: who is a little late still finds its
    slot. A clock that was set back by more is followed at once, and the slots are dated back with
    it: what was there keeps its age, so that nothing is lost and nothing stands still until the
    clock has caught up. One that jumps ahead can't be told from a pause, and leaves old slots
    behind.
    """

    def __init__(self, window_ns: int) -> None:
        self.length: Final = -(-window_ns // SLOT_NS) + 1
        self._newest: int | None = None
        self._given_up: int | None = None

    @property
    def newest(self) -> int:
        """The slot of the latest time, 0 before any was read."""
        return 0 if self._newest is None else self._newest

    @property
    def oldest(self) -> int:
        """The first slot that is still there."""
        oldest = self.newest - self.length + 1
        return oldest if self._given_up is None else max(oldest, self._given_up + 1)

    @property
    def covered_ns(self) -> int:
        """How far the window looks back, in nanoseconds: less than it should after `give_up`."""
        return (self.newest - self.oldest) * SLOT_NS

    def advance(self, now_ns: int) -> int:
        """Let the ring reach this time; returns how many slots the newest one moved.

        A negative number means that the clock was set back: every slot is now dated so many
        slots earlier.
        """
        slot = now_ns // SLOT_NS
        if self._newest is None:
            self._newest = slot
            return 0
        moved = slot - self._newest
        if -min(self.length, _WAITED_SLOTS) < moved <= 0:
            return 0
        if moved < 0 and self._given_up is not None:
            self._given_up += moved
        self._newest = slot
        return moved

    def join(self, other: SlotRing) -> int:
        """Let the ring reach the time of another one if that is later, as `advance` does.

        Slots that the other has given up are given up here too, so that what is left is whole.
        Raises ValueError where the windows differ in length.
        """
        if other.length != self.length:
            raise ValueError("windows of different lengths can't be merged")
        if other._given_up is not None:
            self.give_up(max(other._given_up, self._given_up or other._given_up))
        if other._newest is None:
            return 0
        return self.advance(max(other._newest, self.newest) * SLOT_NS)

    def covers(self, slots: WindowSlots) -> npt.NDArray[np.bool_]:
        """Whether each of these slots is there; those that are not are gone: bool (n,)."""
        return slots >= self.oldest

    def give_up(self, slot: int) -> None:
        """Let go of this slot and all before it, before their time."""
        self._given_up = slot

    def state(self) -> State:
        """What a restart brings back."""
        return {"length": self.length, "newest": self._newest, "given_up": self._given_up}

    def restore(self, state: StateReader) -> None:
        """Take over a state; raises CheckpointError, and changes nothing, where it doesn't fit."""
        length = state.integer("length")
        if length != self.length:
            raise state.error(f"its window has {length} slots, and here there are {self.length}")
        newest, given_up = state.value("newest"), state.value("given_up")
        if not {type(newest), type(given_up)} <= {int, type(None)}:
            raise state.error("the newest slot is no number")
        self._newest, self._given_up = newest, given_up
