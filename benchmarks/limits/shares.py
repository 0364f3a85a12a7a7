"""Runs a stream through label sets under a limit, and counts what found room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.limits.streams import Stream, label_values
from spanmill.series.label_sets import OVERFLOW_ROW, LabelSets

_SECOND: Final = 1_000_000_000
_TICK: Final = 10 * _SECOND
_IDLE_TIMEOUT: Final = 900 * _SECOND
_SPANS_A_BATCH: Final = 512


@dataclass(frozen=True)
class Shares:
    """Spans in series of their own, of all spans.

    `first_come` keeps whoever came first, `busiest` gives rows to the busiest, `possible` knows
    the most popular label sets of every tick in advance. `exchanged` is how many label sets lost
    their row to a busier one.
    """

    first_come: float
    busiest: float
    possible: float
    exchanged: int


def shares(stream: Stream, limit: int, ticks: int, seed: int) -> Shares:
    """What keeps series of its own under this limit."""
    names = ("service", "span_name")
    by_traffic = LabelSets(names, limit, _IDLE_TIMEOUT)
    by_arrival = LabelSets(names, limit, _IDLE_TIMEOUT)
    total = busiest = first_come = possible = 0
    for number, tick in enumerate(stream.ticks(ticks, seed)):
        now = number * _TICK
        total += len(tick.ids)
        possible += int(np.isin(tick.ids, tick.by_rank[:limit]).sum())
        for begin in range(0, len(tick.ids), _SPANS_A_BATCH):
            distinct, spans = np.unique(
                tick.ids[begin : begin + _SPANS_A_BATCH], return_counts=True
            )
            keys = [label_values(i) for i in distinct.tolist()]
            own = by_traffic.rows(keys, now, spans) != OVERFLOW_ROW
            busiest += int(spans[own].sum())
            own = by_arrival.rows(keys, now) != OVERFLOW_ROW
            first_come += int(spans[own].sum())
        by_traffic.expire(now + _TICK)
        by_arrival.expire(now + _TICK)
    return Shares(first_come / total, busiest / total, possible / total, by_traffic.exchanged)
