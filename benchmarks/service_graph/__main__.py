"""What the service graph costs a span, and what a remembered one takes in memory."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.ingest.machine import describe
from benchmarks.ingest.payloads import read_recording, regroup
from spanmill.clock import SystemClock
from spanmill.config.model import Config
from spanmill.config.span_metrics import SpanMetricsConfig
from spanmill.errors import SpanmillError
from spanmill.kernels import SWITCH
from spanmill.processors.factory import build_processors
from spanmill.processors.service_graph import ServiceGraph, ServiceGraphSettings
from spanmill.series.registry import Registry
from spanmill.spans.batch import Coded, SpanBatch
from spanmill.spans.installed import load_decoder
from spanmill.telemetry import Telemetry
from spanmill.testing import Span, batch_of

_DATA = Path(__file__).resolve().parents[3] / "shared/data/astronomy-oteltraces.zst"
_ROUNDS = 7
_MOST_REQUESTS = 2_000
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
        "| spans a request | span metrics, µs a span | service graph | by its reference "
        "| service graph, µs a request |\n|---:|---:|---:|---:|---:|"
    )
    for size in (10, 512, 8192):
        bodies = [request.SerializeToString() for request in regroup(recording, size)]
        least = _costs(bodies[:_MOST_REQUESTS], cpu_ns)
        figures = " | ".join(f"{cost:.2f}" for cost in least)
        print(f"| {size:,} | {figures} | {least[1] * size:.0f} |")
    print(
        "\n| 100,000 remembered | bytes each | all given up in one tick, ms | bytes after it, KB "
        "|\n|---|---:|---:|---:|"
    )
    for text, kind in (("clients", _CLIENT), ("servers whose client has not come", _SERVER)):
        held, milliseconds, left = _memory(kind, cpu_ns)
        print(f"| {text} | {held:.0f} | {milliseconds:.1f} | {left / 1000:.0f} |")
    return 0


def _graph() -> ServiceGraph:
    registry = Registry(SystemClock())
    settings = ServiceGraphSettings(
        wait_ns=30 * _SECOND_NS,
        max_pending=300_000,
        max_series=5_000,
        idle_timeout_ns=900 * _SECOND_NS,
        user_root=True,
        peer_attributes=Config().service_graph.peer_attributes,  # type: ignore[union-attr]  # on
        buckets_ns=SpanMetricsConfig().buckets.tempo,
    )
    return ServiceGraph(settings, registry, Telemetry(registry))


def _reference() -> ServiceGraph:
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "off"
    try:
        return _graph()
    finally:
        os.environ.pop(SWITCH)
        if before is not None:
            os.environ[SWITCH] = before


def _costs(bodies: Sequence[bytes], cpu_ns: Callable[[], int]) -> tuple[float, ...]:
    """The least CPU time of several rounds, µs a span."""
    registry = Registry(SystemClock())
    built = build_processors(Config(), registry, Telemetry(registry))
    span_metrics = next(one for one in built if one.name == "span_metrics")
    graphs = [_graph(), _reference()]
    attributes = dict.fromkeys((*span_metrics.attributes, *graphs[0].attributes))
    decoder = load_decoder(tuple(attributes), span_metrics.attributes)
    batches = [decoder.decode(body).batch for body in bodies]
    spans = sum(map(len, batches))
    work = [span_metrics.observe, *(graph.observe for graph in graphs)]
    least = [float("inf")] * len(work)
    arrival_ns = SystemClock().time_ns()
    for _ in range(_ROUNDS):
        arrived = []
        # Each round is later than the `wait` of the last one: its spans are new again.
        arrival_ns += 3600 * _SECOND_NS
        for batch in batches:
            arrival_ns += len(batch) * _SECOND_NS // _SPANS_A_SECOND
            arrived.append(batch.arrived(arrival_ns))
        for i, run in enumerate(work):
            least[i] = min(least[i], _cpu(run, arrived, cpu_ns) / spans / 1000)
    return tuple(least)


def _cpu(run: Callable[[Any], object], given: Sequence[Any], cpu_ns: Callable[[], int]) -> int:
    begun = cpu_ns()
    for one in given:
        run(one)
    return cpu_ns() - begun


def _memory(kind: int, cpu_ns: Callable[[], int]) -> tuple[float, float, int]:
    """The bytes of each remembered span, CPU milliseconds to give all up, bytes afterwards."""
    graph = _graph()
    spans = 100_000
    batch = _unrelated(kind, spans, graph.attributes, np.random.default_rng(1))
    graph.observe(batch)
    held = graph.remembered_bytes / spans
    milliseconds = _cpu(graph.tick, [batch.arrival_ns + 31 * _SECOND_NS], cpu_ns) / 1e6
    return held, milliseconds, graph.remembered_bytes


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
