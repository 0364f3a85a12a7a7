"""What the service graph costs a span, and what a remembered one takes in memory."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.ingest.machine import describe
from benchmarks.ingest.payloads import read_recording, regroup
from spanmill.clock import SystemClock
from spanmill.config.model import Config
from spanmill.errors import SpanmillError
from spanmill.processors.factory import build_processors
from spanmill.processors.guard import GuardedProcessor
from spanmill.series.registry import Registry
from spanmill.spans.batch import Coded, SpanBatch
from spanmill.spans.installed import load_decoder
from spanmill.telemetry import Telemetry
from spanmill.testing import Span, batch_of

_DATA = Path(__file__).resolve().parents[3] / "shared/data/astronomy-oteltraces.zst"
_ROUNDS = 7
_SPANS_A_SECOND = 5_000
_SECOND_NS = 1_000_000_000
_CLIENT, _SERVER = 3, 2


def main(arguments: Sequence[str], cpu_ns: Callable[[], int]) -> int:
    """Print two tables; the exit code is 2 where the recording can't be read."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service_graph", description=__doc__)
    parser.add_argument("--data", type=Path, default=_DATA, help="the recorded spans")
    options = parser.parse_args(arguments)
    try:
        recording = read_recording(options.data)
    except SpanmillError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Taken on {describe()}.\n")
    print(
        "| spans a request | decode without its attributes, µs a span | with them "
        "| span metrics | service graph |\n|---:|---:|---:|---:|---:|"
    )
    for size in (64, 512, 8192):
        bodies = [request.SerializeToString() for request in regroup(recording, size)]
        figures = " | ".join(f"{cost:.2f}" for cost in _costs(bodies, cpu_ns))
        print(f"| {size:,} | {figures} |")
    print("\n| 100,000 remembered | bytes each |\n|---|---:|")
    print(f"| clients | {_bytes_a_span(_CLIENT):.0f} |")
    print(f"| servers whose client has not come | {_bytes_a_span(_SERVER):.0f} |")
    return 0


def _processors(*names: str) -> list[GuardedProcessor[SpanBatch]]:
    registry = Registry(SystemClock())
    built = build_processors(Config(), registry, Telemetry(registry))
    return [processor for name in names for processor in built if processor.name == name]


def _costs(bodies: Sequence[bytes], cpu_ns: Callable[[], int]) -> tuple[float, ...]:
    """The least CPU time of several rounds, µs a span."""
    span_metrics, graph = _processors("span_metrics", "service_graph")
    without = load_decoder(span_metrics.attributes)
    both = load_decoder(tuple(dict.fromkeys((*span_metrics.attributes, *graph.attributes))))
    batches = [both.decode(body).batch for body in bodies]
    spans = sum(map(len, batches))
    least = [float("inf")] * 4
    arrival_ns = SystemClock().time_ns()
    for _ in range(_ROUNDS):
        arrived = []
        # Each round is later than the `wait` of the last one: its spans are new again.
        arrival_ns += 3600 * _SECOND_NS
        for batch in batches:
            arrival_ns += len(batch) * _SECOND_NS // _SPANS_A_SECOND
            arrived.append(batch.arrived(arrival_ns))
        work: list[tuple[Callable[[Any], object], Sequence[object]]] = [
            (without.decode, bodies),
            (both.decode, bodies),
            (span_metrics.observe, arrived),
            (graph.observe, arrived),
        ]
        for i, (run, given) in enumerate(work):
            least[i] = min(least[i], _cpu(run, given, cpu_ns) / spans / 1000)
    return tuple(least)


def _cpu(run: Callable[[Any], object], given: Sequence[object], cpu_ns: Callable[[], int]) -> int:
    begun = cpu_ns()
    for one in given:
        run(one)
    return cpu_ns() - begun


def _bytes_a_span(kind: int) -> float:
    (graph,) = _processors("service_graph")
    random = np.random.default_rng(1)
    spans = 100_000
    batch = _unrelated(kind, spans, graph.attributes, random)
    tracemalloc.start()
    graph.observe(batch)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / spans


def _unrelated(
    kind: int, spans: int, attributes: Sequence[str], random: np.random.Generator
) -> SpanBatch:
    """Spans of one service with ids of their own; servers name parents that never come."""
    one = batch_of([Span(kind=kind)], attributes)

    def repeated(column: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return np.repeat(column, spans, axis=0)

    def ids(width: int) -> npt.NDArray[np.uint8]:
        return random.integers(1, 256, (spans, width), np.uint8)

    names = ("kind", "status", "start", "end", "duration", "size", "weight")
    columns: dict[str, Any] = {name: repeated(getattr(one, name)) for name in names}
    coded = np.zeros(spans, np.int32)
    return dataclasses.replace(
        one,
        **columns,
        resource=Coded(coded, one.resource.values),
        trace_id=ids(16),
        span_id=ids(8),
        parent_id=ids(8) if kind == _SERVER else np.zeros((spans, 8), np.uint8),
        attributes={key: Coded(coded - 1, []) for key in attributes},
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], time.thread_time_ns))
