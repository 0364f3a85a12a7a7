"""What many label sets take, and for how long one call keeps everything else waiting."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from spanmill.config.span_metrics import BucketsConfig
from spanmill.series.counter import CounterColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.label_sets import LabelSets
from spanmill.series.snapshot import LabelValues

_NAMES: Final = ("service", "span_name", "span_kind", "status_code", "http_route")
_BATCH: Final = 500
_SECOND: Final = 1_000_000_000
_TICK: Final = 10 * _SECOND
_IDLE: Final = 900 * _SECOND
_SERVICES: Final = 500
_BUSIER: Final = 5_000
_FLOOD_BATCHES: Final = 20


@dataclass(frozen=True)
class Calls:
    """Calls of one kind: how many, the CPU of the average and of the longest one in ms."""

    what: str
    calls: int
    average: float
    longest: float


class _Timed:
    """The CPU of each call, as this thread had it: others that share the machine don't count."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._seconds: list[float] = []

    def __call__(self, work: Callable[[], object]) -> None:
        begin = time.thread_time()
        work()
        self._seconds.append(time.thread_time() - begin)

    def result(self) -> Calls:
        """What was measured."""
        total = sum(self._seconds)
        longest = max(self._seconds)
        return Calls(
            self._what, len(self._seconds), total / len(self._seconds) * 1e3, longest * 1e3
        )


def bytes_a_label_set(number: int) -> float:
    """Memory of label sets beside their texts: what Python's allocator and numpy gave."""
    services = [f"service {i}" for i in range(_SERVICES)]
    names = [f"GET /cart/{i}" for i in range(number // _SERVICES + 1)]
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        sets = LabelSets(_NAMES, number, _IDLE)
        for begin in range(0, number, _BATCH):
            keys = [
                (services[i % _SERVICES], names[i // _SERVICES], "kind", "status", "route")
                for i in range(begin, min(begin + _BATCH, number))
            ]
            sets.rows(keys, 0)
        return (tracemalloc.get_traced_memory()[0] - before) / number
    finally:
        tracemalloc.stop()


def calls_at(number: int, ticks: int) -> Iterator[Calls]:
    """Fill so many label sets, let them be known, flood them, and let them all expire at once.

    They carry what those of span metrics carry: two counters and the histogram of both dialects.
    """
    sets = LabelSets(_NAMES, number, _IDLE)
    buckets = BucketsConfig()
    CounterColumn(sets)
    CounterColumn(sets)
    HistogramColumn(sets, [buckets.tempo, buckets.otel], native=True)
    weights, now = np.full(_BATCH, 5), 0
    batches = [_keys(begin) for begin in range(0, number, _BATCH)]

    for what in ("new label sets", "known label sets, by their labels"):
        timed = _Timed(f"{_BATCH} {what}")
        for keys in batches:
            timed(partial(sets.rows, keys, now, weights))
        yield timed.result()

    rows, (known, tick) = sets.owned(), (_Timed(f"{_BATCH} known rows"), _Timed("a tick"))
    for _ in range(ticks):
        for begin in range(0, len(rows) - _BATCH, _BATCH):
            part = rows[begin : begin + _BATCH]
            known(partial(sets.touch, part, now, weights))
        now += _TICK
        tick(partial(sets.expire, now))
    yield known.result()
    yield tick.result()
    with _collected() as collected:
        yield from _flood(sets, now, ticks)
        collected(gc.collect)
    yield collected.result()
    now += ticks * _TICK + 2 * _IDLE
    tick = _Timed("a tick while all of them expire")
    while len(sets):
        tick(partial(sets.expire, now))
        now += _TICK
    yield tick.result()


def _flood(sets: LabelSets, now: int, ticks: int) -> Iterator[Calls]:
    """Spans with label sets that come once, and some busier ones that get rows at the ticks."""
    rows = sets.owned()
    flood, tick = _Timed(f"{_BATCH} label sets that find no room"), _Timed("a tick at the limit")
    ones = np.ones(_BATCH, np.int64)
    for number in range(ticks):
        for batch in range(_FLOOD_BATCHES):
            begin = (number * _FLOOD_BATCHES + batch) * _BATCH
            keys = [
                ("flood", f"GET /{i}", "kind", "status", "") for i in range(begin, begin + _BATCH)
            ]
            flood(partial(sets.rows, keys, now, ones))
        for begin in range(0, _BUSIER, _BATCH):
            keys = [("busier", str(i), "kind", "status", "") for i in range(begin, begin + _BATCH)]
            sets.rows(keys, now, ones * 100)
        sets.touch(rows[number % 2 :: 2], now)
        now += _TICK
        tick(partial(sets.expire, now))
    yield flood.result()
    yield tick.result()


@contextmanager
def _collected() -> Iterator[_Timed]:
    """What was there before is not collected: only label sets are looked at."""
    gc.collect()
    gc.freeze()
    try:
        yield _Timed("a full collection of garbage at the limit")
    finally:
        gc.unfreeze()


def _keys(begin: int) -> list[LabelValues]:
    return [
        (f"service {i % _SERVICES}", f"GET /cart/{i // _SERVICES}", "kind", "status", "/cart")
        for i in range(begin, begin + _BATCH)
    ]
