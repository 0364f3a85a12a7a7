"""How long percentiles keep others waiting, with many series."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.percentiles.cost import SECOND, WINDOW
from spanmill.clock import SystemClock
from spanmill.processors.percentiles import Percentiles, PercentilesSettings
from spanmill.series.registry import Registry
from spanmill.spans.batch import Coded, Groups, Resource, SpanBatch
from spanmill.telemetry import Telemetry
from spanmill.testing import Span, batch_of

_BEGIN = 10**18
_SERVICES = 100
_SPANS = 8_192
_BATCHES = 600  # one a second: every slot of the window fills, and goes again


class _Names:
    def labels(self, values: Sequence[str]) -> list[str]:
        return list(values)


def pauses(places: int, series: int, cpu_ns: Callable[[], int]) -> dict[str, tuple[float, float]]:
    """CPU milliseconds of the median and the longest call, once the places are taken.

    `series` label sets come for `places`. Every second a tick, then a batch; a snapshot in 15.
    """
    registry = Registry(SystemClock())
    settings = PercentilesSettings(WINDOW, places)
    processor = Percentiles(settings, registry, Telemetry(registry), _Names())
    source = _Source(series)
    spent: dict[str, list[float]] = {"request": [], "tick": [], "snapshot": []}

    def timed(what: str, work: Callable[[], object]) -> None:
        begin = cpu_ns()
        work()
        spent[what].append((cpu_ns() - begin) / 1e6)

    for second in range(_BATCHES):
        arrival = _BEGIN + second * SECOND
        batch = source.batch(arrival)
        timed("tick", lambda now=arrival: processor.tick(now))  # type: ignore[misc]  # a default
        timed("request", lambda sent=batch: processor.observe(sent))  # type: ignore[misc]  # too
        if second % 15 == 14:
            timed("snapshot", processor.snapshot)
    return {
        what: (float(np.median(calls)), max(calls[len(calls) // 4 :]))
        for what, calls in spent.items()
    }


class _Source:
    """Batches of spans over many series, a few of them busy, with groups as a decoder finds."""

    def __init__(self, series: int) -> None:
        self._rng = np.random.default_rng(1)
        self._series = series
        self._resources = [Resource({"service.name": f"service{i}"}) for i in range(_SERVICES)]
        self._names = [f"operation {i}" for i in range(series // _SERVICES)]
        self._identities = self._rng.integers(1, 2**63, (series, 2)).astype(np.uint64)
        self._some = batch_of([Span(span_id=bytes([1]) * 8)] * _SPANS)

    def batch(self, arrival_ns: int) -> SpanBatch:
        rng, n = self._rng, _SPANS
        series = (rng.zipf(1.2, n) + rng.integers(0, self._series, n)) % self._series
        found, first, codes, counts = np.unique(
            series, return_index=True, return_inverse=True, return_counts=True
        )
        groups = Groups((), codes.astype(np.int32), first, counts, self._identities[found])
        return dataclasses.replace(
            self._some,
            resource=Coded((series % _SERVICES).astype(np.int32), self._resources),
            name=Coded((series // _SERVICES).astype(np.int32), self._names),
            duration=rng.lognormal(np.log(2e7), 1.0, n).astype(np.uint64),
            end=(arrival_ns - rng.exponential(5e9, n)).astype(np.uint64),
            arrival_ns=arrival_ns,
            groups=groups,
        )
