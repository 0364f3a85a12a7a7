"""What exemplars cost: CPU a span, and of a scrape."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from benchmarks.ingest.machine import describe
from spanmill.config.span_metrics import BucketsConfig
from spanmill.series.exemplars import ExemplarPool, HistogramExemplars
from spanmill.series.label_sets import LabelSets
from spanmill.series.registry import SECONDS

_BEGIN = 10**18
_SPANS = 400_000
_SPANS_A_TRACE = 8
_POOL = 20_000


@dataclass(frozen=True)
class Request:
    """The columns that exemplars are made of, n rows each."""

    rows: npt.NDArray[np.int64]
    durations: npt.NDArray[np.uint64]
    trace_ids: npt.NDArray[np.uint8]
    span_ids: npt.NDArray[np.uint8]
    errors: npt.NDArray[np.bool_]


def main(cpu_ns: Callable[[], int]) -> None:
    """Print a row for each size of requests, number of label sets, rate and kept share."""
    print(f"Taken on {describe()}.\n")
    print(
        "| spans a request | label sets | spans/s | kept_ratio | CPU a span, µs | exemplars "
        "| read at a scrape, ms |\n|---:|---:|---:|---:|---:|---:|---:|"
    )
    for series, size, rate, ratio in product(
        (150, 20_000), (512, 8192), (5_000, 200_000), (1.0, 0.1)
    ):
        label_sets = LabelSets(("name",), series, None)
        label_sets.rows([(str(i),) for i in range(series)], _BEGIN)
        pool = ExemplarPool(_POOL, ratio)
        buckets = BucketsConfig()
        histogram = pool.histogram(label_sets, (buckets.tempo, buckets.otel))
        requests = [_request(size, series, seed) for seed in range(_SPANS // size)]
        nanoseconds = _observed(histogram, requests, rate, cpu_ns)
        begin = cpu_ns()
        shown = histogram.exemplars(label_sets.live_rows(), 0, SECONDS)
        assert sum(len(buckets) for buckets in shown.values()) <= len(pool)
        read = (cpu_ns() - begin) / 1e6
        print(
            f"| {size:,} | {series:,} | {rate:,} | {ratio} | {nanoseconds / 1000:.2f} "
            f"| {len(pool):,} | {read:.0f} |"
        )


def _observed(
    histogram: HistogramExemplars,
    requests: Sequence[Request],
    rate: int,
    cpu_ns: Callable[[], int],
) -> float:
    """CPU nanoseconds a span, the requests arriving at this rate."""
    spans = 0
    begin = cpu_ns()
    for request in requests:
        histogram.observe(
            request.rows,
            request.durations,
            trace_ids=request.trace_ids,
            span_ids=request.span_ids,
            errors=request.errors,
            arrival_ns=_BEGIN + spans * 10**9 // rate,
        )
        spans += len(request.rows)
    return (cpu_ns() - begin) / spans


def _request(size: int, series: int, seed: int) -> Request:
    """Spans of a few busy label sets and of many others, lognormal durations, 2 % errors."""
    rng = np.random.default_rng(seed)
    traces = rng.integers(0, 256, (size // _SPANS_A_TRACE, 16), np.uint8)
    return Request(
        rows=1 + np.minimum((rng.pareto(1.0, size) * series / 50).astype(np.int64), series - 1),
        durations=rng.lognormal(np.log(2e7), 1.5, size).astype(np.uint64),
        trace_ids=np.repeat(traces, _SPANS_A_TRACE, axis=0),
        span_ids=rng.integers(0, 256, (size, 8), np.uint8),
        errors=rng.random(size) < 0.02,
    )


if __name__ == "__main__":
    main(time.thread_time_ns)
