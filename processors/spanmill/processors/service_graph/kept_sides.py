"""The sides that a service graph remembers, as columns: what a restart brings back of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.processors.service_graph.names import NO_NAME
from spanmill.series.state_reader import StateReader

NOBODY: Final = -1
MOST_FLAGS: Final = 63
"""All flags of `pairing.py` together."""


@dataclass(frozen=True, slots=True)
class KeptSides:
    """Remembered spans, or ends that wait, the oldest first: n of them.

    - `words`: int64 (5, n): the key, the arrival as `Elapsed` counts it, the duration in
      nanoseconds (the bits of a uint64), the weight (the bits of a float64), and another number.
      For a span that is the code of its peer, for an end the position of the one that waited for
      the same span before: NO_NAME or NOBODY where there is none.
    - `services`: int32 (n,), codes of names; `flags`: uint8 (n,), as in `pairing.py`.
    """

    words: npt.NDArray[np.int64]
    services: npt.NDArray[np.int32]
    flags: npt.NDArray[np.uint8]

    @classmethod
    def empty(cls, sides: int) -> KeptSides:
        """Room for so many."""
        return cls(
            np.empty((5, sides), np.int64), np.empty(sides, np.int32), np.empty(sides, np.uint8)
        )

    def __len__(self) -> int:
        return len(self.services)

    @property
    def keys(self) -> npt.NDArray[np.int64]:
        """The key of each: int64 (n,)."""
        keys: npt.NDArray[np.int64] = self.words[0]
        return keys

    @property
    def arrivals(self) -> npt.NDArray[np.int64]:
        """The arrival of each: int64 (n,)."""
        arrivals: npt.NDArray[np.int64] = self.words[1]
        return arrivals

    @property
    def others(self) -> npt.NDArray[np.int64]:
        """The peer of each span, the one before each end: int64 (n,)."""
        others: npt.NDArray[np.int64] = self.words[4]
        return others

    def state(self) -> State:
        """As plain values."""
        return {
            "key": self.words[0],
            "arrival_ns": self.words[1],
            "duration_ns": self.words[2].view(np.uint64),
            "weight": self.words[3].view(np.float64),
            "other": self.words[4],
            "service": self.services,
            "flags": self.flags,
        }


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a pairing remembers: spans, and the ends that wait or have waited."""

    spans: KeptSides
    ends: KeptSides

    def state(self) -> State:
        """As plain values."""
        return {"spans": self.spans.state(), "ends": self.ends.state()}


def read_remembered(state: StateReader, names: int, now_ns: int) -> Remembered:
    """What `Remembered.state` gave, with that many names, by now at the latest.

    Raises CheckpointError where something in it can't be.
    """
    spans = _read_sides(state.part("spans"), "spans", names, now_ns)
    ends = _read_sides(state.part("ends"), "ends", names, now_ns)
    if (spans.others < NO_NAME).any() or (spans.others >= names).any():
        raise state.error("a span has a peer without a name")
    if (ends.others < NOBODY).any() or (ends.others >= np.arange(len(ends))).any():
        raise state.error("an end waits behind one that came later")
    behind = np.flatnonzero(ends.others != NOBODY)
    if (ends.keys[ends.others[behind]] != ends.keys[behind]).any():
        raise state.error("an end waits behind one that waits for another span")
    keys = np.sort(spans.keys)
    if (keys[1:] == keys[:-1]).any():
        raise state.error("a span is there twice")
    return Remembered(spans, ends)


def _read_sides(state: StateReader, what: str, names: int, now_ns: int) -> KeptSides:
    keys = state.array("key", np.int64, (None,))
    many = (len(keys),)
    arrivals = state.array("arrival_ns", np.int64, many)
    services = state.array("service", np.int32, many)
    flags = state.array("flags", np.uint8, many)
    columns: list[npt.NDArray[Any]] = [
        keys,
        arrivals,
        state.array("duration_ns", np.uint64, many).view(np.int64),
        state.array("weight", np.float64, many).view(np.int64),
        state.array("other", np.int64, many),
    ]
    if (np.diff(arrivals) < 0).any() or (arrivals > now_ns).any():
        raise state.error(f"{what} are not in the order in which they came")
    if ((services < 0) | (services >= names)).any():
        raise state.error(f"{what} have services without a name")
    if (flags > MOST_FLAGS).any():
        raise state.error(f"{what} have flags that can't be")
    return KeptSides(np.stack(columns), services, flags)
