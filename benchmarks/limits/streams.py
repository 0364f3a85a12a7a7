"""Streams of label sets whose popularity is Zipf-like: steady, drifting, after a flood."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spanmill.series.snapshot import LabelValues


@dataclass(frozen=True)
class Stream:
    """How many label sets are asked for, how often, and how that changes.

    The k-th most popular of `label_sets` comes with a weight of k^-`exponent`. At each tick
    `changing` of them exchange their popularity with another each. The first tick begins with
    `flood` spans of label sets that never come again; `junk` is the share of such spans later.
    """

    name: str
    label_sets: int = 20_000
    exponent: float = 1.1
    spans_a_tick: int = 5_000
    changing: int = 0
    flood: int = 0
    junk: float = 0.0

    def ticks(self, count: int, seed: int) -> Iterator[Tick]:
        """The spans of so many ticks; the same ones for the same seed."""
        random = np.random.default_rng(seed)
        weights = np.arange(1, self.label_sets + 1) ** -self.exponent
        cumulative = np.cumsum(weights) / weights.sum()
        by_rank = random.permutation(self.label_sets)
        fresh = self.label_sets
        for tick in range(count):
            ranks = np.searchsorted(cumulative, random.random(self.spans_a_tick))
            ids = by_rank[np.minimum(ranks, self.label_sets - 1)]
            junk = random.random(len(ids)) < self.junk
            once = int(junk.sum()) + (self.flood if tick == 0 else 0)
            ids[junk] = np.arange(fresh, fresh + int(junk.sum()))
            flood = np.arange(fresh + int(junk.sum()), fresh + once)
            fresh += once
            yield Tick(np.concatenate([flood, ids]), by_rank.copy())
            for _ in range(self.changing):
                one, other = random.integers(0, self.label_sets, 2)
                by_rank[[one, other]] = by_rank[[other, one]]


@dataclass(frozen=True)
class Tick:
    """The label set of each span, in order of arrival, and all label sets by popularity."""

    ids: npt.NDArray[np.int64]
    by_rank: npt.NDArray[np.int64]


def label_values(number: int) -> LabelValues:
    """The label set of a number: one of 20 services, and a span name."""
    return (f"service-{number % 20}", f"GET /{number}")
