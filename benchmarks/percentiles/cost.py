"""CPU time of a batch and of a snapshot, and the bytes of the window."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from spanmill.clock import SystemClock
from spanmill.processors.percentiles import Percentiles, PercentilesSettings
from spanmill.series.names import SpanNames
from spanmill.series.registry import Registry
from spanmill.spans.batch import Coded, Groups, Resource, Scope, SpanBatch
from spanmill.telemetry import Telemetry

SECOND = 1_000_000_000
WINDOW = 300 * SECOND

_BEGIN = 10**18
_ODD = np.uint64(0x9E3779B97F4A7C15)  # spreads small numbers over 64 bits


class Measured:
    """Percentiles of 5 minutes and 1,000 series, with a stopwatch."""

    def __init__(self, cpu_ns: Callable[[], int]) -> None:
        self._cpu_ns = cpu_ns
        registry = Registry(SystemClock())
        self._processor = Percentiles(
            PercentilesSettings(WINDOW, 1000), registry, Telemetry(registry), SpanNames()
        )

    def nanoseconds_a_span(self, batches: Sequence[SpanBatch]) -> float:
        """CPU time of all batches, which arrive evenly over one window, by their spans."""
        spans = spent = 0
        for i, batch in enumerate(batches):
            arrival = _BEGIN + WINDOW * i // len(batches)
            ends = batch.end.astype(np.int64)
            moved = (ends + (arrival - int(ends.max()))).astype(np.uint64)
            arrived = dataclasses.replace(batch, end=moved, arrival_ns=arrival)
            begin = self._cpu_ns()
            self._processor.observe(arrived)
            spent += self._cpu_ns() - begin
            spans += len(batch)
        return spent / spans

    def snapshot(self) -> tuple[float, int]:
        """CPU milliseconds of one snapshot, and how many values it has."""
        begin = self._cpu_ns()
        family = self._processor.snapshot()
        return (self._cpu_ns() - begin) / 1e6, len(family.labels)

    def window_bytes(self) -> int:
        """What the slots of the window hold."""
        return self._processor.window_bytes()


def many_series(spans: int, batch: int, rng: np.random.Generator) -> list[SpanBatch]:
    """Batches over 1,000 series, Zipf-like, lognormal durations, ends of the last 30 s.

    They have groups as a decoder finds them.
    """
    resources = [Resource({"service.name": f"service{i}"}) for i in range(20)]
    names = [f"operation {chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(50)]
    return [_batch(batch, resources, names, rng) for _ in range(spans // batch)]


def _batch(
    n: int, resources: Sequence[Resource], names: Sequence[str], rng: np.random.Generator
) -> SpanBatch:
    series = rng.zipf(1.2, n) % (len(resources) * len(names))
    duration = rng.lognormal(np.log(2e7), 1.0, n).astype(np.uint64)
    end = (_BEGIN - rng.exponential(5e9, n)).astype(np.uint64)
    zeros, ids = np.zeros(n, np.int64), np.ones((n, 16), np.uint8)
    found, first, codes, counts = np.unique(
        series, return_index=True, return_inverse=True, return_counts=True
    )
    identities = (np.stack((found, found), axis=1) + 1).astype(np.uint64) * _ODD
    return SpanBatch(
        payload=b"",
        resource=Coded((series % len(resources)).astype(np.int32), resources),
        scope=Coded(zeros.astype(np.int32), [Scope("", "")]),
        name=Coded((series // len(resources)).astype(np.int32), names),
        kind=np.full(n, 2, np.uint8),
        status=np.zeros(n, np.uint8),
        start=end - duration,
        end=end,
        duration=duration,
        trace_id=ids,
        span_id=ids[:, :8],
        parent_id=ids[:, :8],
        size=zeros,
        weight=np.ones(n),
        span_start=zeros,
        span_length=zeros,
        groups=Groups((), codes.astype(np.int32), first, counts, identities),
    )
