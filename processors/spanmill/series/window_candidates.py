"""Label sets that wait for a row of a window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from spanmill.journal.state import State
from spanmill.series.snapshot import LabelValues
from spanmill.series.state_reader import StateReader
from spanmill.series.window_places import read_labels, read_places, read_spans

_FORGOTTEN: Final = 0.5  # spans; so many slots as 0.7 windows after a single one
_AT_ONCE: Final = 5_000  # what is forgotten at a time, so that it takes some milliseconds


class Candidates:
    """How busy each of at most `most` label sets is, in spans of late.

    Should there be more, the busier half is kept. Memory: 16 bytes and about 300 for a label set
    and its texts.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: dict[LabelValues, int] = {}
        self._keys: list[LabelValues | None] = []
        self._free: list[int] = []
        self._spans = np.zeros(most + 1)

    def __len__(self) -> int:
        return len(self._places)

    def add(self, key: LabelValues, spans: float) -> None:
        """Count spans of a label set, new or known."""
        place = self._places.get(key)
        if place is None:
            place = self._free.pop() if self._free else len(self._keys)
            if place == len(self._keys):
                self._keys.append(key)
            else:
                self._keys[place] = key
            self._places[key] = place
        self._spans[place] += spans
        if len(self._places) > self._most:
            busiest = np.argsort(-self._spans, kind="stable")
            self._forget(busiest[self._most // 2 :].tolist())

    def take(self, key: LabelValues) -> float:
        """Remove a label set; returns its spans, 0 where it is no candidate."""
        place = self._places.get(key)
        if place is None:
            return 0.0
        spans = float(self._spans[place])
        self._forget((place,))
        return spans

    def spans(self, key: LabelValues) -> float:
        """The spans of a candidate."""
        return float(self._spans[self._places[key]])

    def fade(self, kept: float) -> None:
        """Keep this share of all spans, and forget label sets of which next to nothing is left."""
        self._spans *= kept
        little = np.flatnonzero(self._spans <= _FORGOTTEN)
        taken = little[(little < len(self._keys)) & (self._spans[little] > 0)]
        self._forget(taken[:_AT_ONCE].tolist())

    def busiest(self, least: float) -> Iterator[LabelValues]:
        """Those that have at least so many spans, the busiest first; `least` is above 0.

        Those that were given out may be taken meanwhile, and others added.
        """
        waiting = np.flatnonzero(self._spans >= least)
        order = waiting[np.argsort(-self._spans[waiting], kind="stable")]
        for place in order:
            key = self._keys[place]
            if key is not None:
                yield key

    def state(self) -> State:
        """What a restart brings back: label sets by place, None at those that are free."""
        return {
            "labels": list(self._keys),
            "spans": self._spans[: len(self._keys)].copy(),
            "free": list(self._free),
        }

    def restore(self, state: StateReader) -> None:
        """Take over a state; raises CheckpointError, and changes nothing, where it is none."""
        keys = read_labels(state, "labels", len(self._spans))
        spans = read_spans(state, "spans", len(keys))
        taken = [place for place, key in enumerate(keys) if key is not None]
        free = read_places(state, "free", taken, len(keys))
        self._keys, self._free = keys, free
        self._places = {key: place for place, key in enumerate(keys) if key is not None}
        self._spans[:] = 0.0
        self._spans[: len(keys)] = spans

    def _forget(self, places: Iterable[int]) -> None:
        for place in places:
            key = self._keys[place] if place < len(self._keys) else None
            if key is not None:
                del self._places[key]
                self._keys[place] = None
                self._spans[place] = 0.0
                self._free.append(place)
