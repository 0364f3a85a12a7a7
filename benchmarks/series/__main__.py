"""What a series costs: bytes by component at 250,000 label sets, CPU a span, and checkpoints.

`python -m benchmarks.series` runs all in fresh processes of its own; `memory`, `time` or
`kept` after it runs one part. Requests are made in memory, as the decoder would give them; their
groups have identities. Label sets are those of the span metrics with a dimension, one dialect
(`tempo`: classic and native) and exemplars.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import zstandard

from benchmarks.ingest.machine import describe
from spanmill.clock import SystemClock
from spanmill.config.span_metrics import BucketsConfig
from spanmill.journal.state import decode_state, encode_state
from spanmill.processors.span_metrics import SpanMetrics, SpanMetricsSettings
from spanmill.series.exemplars import ExemplarPool
from spanmill.series.names import SpanNames
from spanmill.series.registry import Registry
from spanmill.spans.batch import ABSENT, Coded, Groups, Resource, Scope, SpanBatch
from spanmill.telemetry import Telemetry

_LABEL_SETS = 250_000
_BEGIN = 10**18
_REQUEST = 8_192
_BUCKETS = 10
_WARM = 20  # spans of each label set before it is timed: its histogram has its range then


@dataclass(frozen=True)
class Names:
    """Span names, made as they are asked for; what a decoder's lazy column is."""

    numbers: Sequence[int]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, code: int) -> str:
        number = self.numbers[code]
        return f"operation{chr(97 + number % 26)}{chr(97 + number // 26 % 26)}" + _letters(number)


def _letters(number: int) -> str:
    """A number that isn't normalised away."""
    return "".join(chr(97 + int(digit)) for digit in str(number))


class Source:
    """Requests whose spans belong to label sets by number."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(1)
        self._resources = [
            Resource({"service.name": f"service-{i}", "service.namespace": "shop"})
            for i in range(100)
        ]
        self._keys = np.random.default_rng(2).integers(0, 2**64, (_LABEL_SETS, 2), np.uint64)

    def request(
        self, numbers: npt.NDArray[np.int64], octave: int | None, arrival_ns: int
    ) -> SpanBatch:
        """Spans of these label sets (n,), all of one octave's duration or of ten octaves."""
        n = len(numbers)
        octaves = self._random.integers(0, _BUCKETS, n) if octave is None else octave
        duration = (2_000_000 * 2.0 ** (octaves + self._random.random(n))).astype(np.uint64)
        different, first, inverse, counts = np.unique(
            numbers, return_index=True, return_inverse=True, return_counts=True
        )
        order = np.argsort(first)
        ranks = np.empty(len(order), np.int32)
        ranks[order] = np.arange(len(order), dtype=np.int32)
        codes = ranks[inverse].astype(np.int32)
        zeros = np.zeros(n, np.int32)
        ids = self._random.integers(0, 256, (n, 24), np.uint8)
        return SpanBatch(
            payload=b"",
            resource=Coded((numbers % 100).astype(np.int32), self._resources),
            scope=Coded(zeros, [Scope("", "")]),
            name=Coded(codes, Names(different[order].tolist())),  # type: ignore[arg-type]  # lazy
            kind=np.full(n, 2, np.uint8),
            status=np.zeros(n, np.uint8),
            start=np.full(n, arrival_ns, np.uint64),
            end=np.full(n, arrival_ns, np.uint64),
            duration=duration,
            trace_id=ids[:, :16].copy(),
            span_id=ids[:, 16:].copy(),
            parent_id=np.zeros((n, 8), np.uint8),
            size=np.full(n, 300),
            weight=np.ones(n),
            span_start=np.zeros(n, np.int64),
            span_length=np.zeros(n, np.int64),
            attributes={"http.route": Coded(np.full(n, ABSENT, np.int32), [])},
            arrival_ns=arrival_ns,
            groups=Groups(
                ("http.route",), codes, first[order], counts[order], self._keys[different[order]]
            ),
        )


def _processor(label_sets: int) -> tuple[Registry, SpanMetrics]:
    registry = Registry(SystemClock())
    settings = SpanMetricsSettings(
        dialects=("tempo",),
        dimensions={"http.route": "http_route"},
        buckets_ns={"tempo": BucketsConfig().tempo},
        max_series=label_sets,
        idle_timeout_ns=900 * 10**9,
        job=True,
    )
    names = SpanNames()
    return registry, SpanMetrics(
        settings, registry, Telemetry(registry), names, ExemplarPool(20_000)
    )


def memory() -> None:
    """Bytes a series: the process's growth, and each component by its own account."""
    source = Source()
    _, processor = _processor(_LABEL_SETS)
    source.request(np.arange(_REQUEST), 0, _BEGIN)
    gc.collect()
    before = _resident()
    longest = 0.0
    for octave in range(_BUCKETS):
        for begin in range(0, _LABEL_SETS, _REQUEST):
            numbers = np.arange(begin, min(begin + _REQUEST, _LABEL_SETS))
            batch = source.request(numbers, octave, _BEGIN + octave)
            began = time.perf_counter()
            processor.observe(batch)
            if octave:
                longest = max(longest, time.perf_counter() - began)
        batch = None  # type: ignore[assignment]  # so that it isn't counted as theirs
    gc.collect()
    grown = _resident() - before
    print(f"{_LABEL_SETS:,} label sets, {_BUCKETS} populated classic buckets each, one dialect:\n")
    print("| component | bytes a series |\n|---|---:|")
    for name, size in processor.memory().items():
        print(f"| {name} | {size / _LABEL_SETS:.0f} |")
    print(f"| **growth of the process (RSS)** | **{grown / _LABEL_SETS:.0f}** |")
    print(f"\nLongest request of {_REQUEST:,} known label sets: {longest * 1e3:.1f} ms.\n")


def cpu() -> None:
    """CPU a span of `SpanMetrics.observe`, by the number of label sets and spans a request."""
    print("| label sets | 512 a request, µs a span | 8,192 a request, µs a span |")
    print("|---:|---:|---:|")
    source = Source()
    for label_sets in (100, 1_000, 10_000, 100_000, _LABEL_SETS):
        _, processor = _processor(label_sets)
        for begin in [*range(0, label_sets, _REQUEST)] * _WARM:
            numbers = np.arange(begin, min(begin + _REQUEST, label_sets))
            processor.observe(source.request(numbers, None, _BEGIN))
        figures = [_observed(source, processor, label_sets, size) for size in (512, _REQUEST)]
        print(f"| {label_sets:,} | {figures[0]:.3f} | {figures[1]:.3f} |")


def kept() -> None:
    """What a checkpoint of the series costs: CPU under the lock and without it, and bytes."""
    source = Source()
    registry, processor = _processor(_LABEL_SETS)
    for octave in range(_BUCKETS):
        for begin in range(0, _LABEL_SETS, _REQUEST):
            numbers = np.arange(begin, min(begin + _REQUEST, _LABEL_SETS))
            processor.observe(source.request(numbers, octave, _BEGIN + octave))
    held = []
    for _ in range(5):
        began = time.thread_time()
        states = {name: part.state() for name, part in registry.kept().items()}
        held.append(time.thread_time() - began)
    began = time.thread_time()
    bodies = {name: encode_state(state) for name, state in states.items()}
    encoded = time.thread_time() - began
    began = time.thread_time()
    compressed = {name: zstandard.compress(body, 1) for name, body in bodies.items()}
    compressing = time.thread_time() - began
    again, _ = _processor(_LABEL_SETS)
    took = {}
    for name, part in again.kept().items():
        began = time.thread_time()
        part.restore(decode_state(bodies[name]))
        took[name] = time.thread_time() - began
    size, small = (sum(map(len, each.values())) for each in (bodies, compressed))
    print(f"{_LABEL_SETS:,} label sets, {_BUCKETS} populated classic buckets each, one dialect:\n")
    print("| a checkpoint of the series | |\n|---|---:|")
    print(f"| copy under the lock, CPU, longest of 5 | {max(held) * 1e3:.0f} ms |")
    print(f"| written without the lock, CPU | {encoded * 1e3:.0f} ms |")
    print(f"| bytes a label set | {size / _LABEL_SETS:.0f} |")
    print(f"| bytes a label set, zstd level 1 | {small / _LABEL_SETS:.0f} |")
    print(f"| compressing, CPU | {compressing * 1e3:.0f} ms |")
    print(f"| read and restored, CPU | {sum(took.values()) * 1e3:.0f} ms |\n")


def _observed(source: Source, processor: SpanMetrics, label_sets: int, size: int) -> float:
    """The median CPU of requests whose spans are spread over the label sets, in µs a span."""
    random = np.random.default_rng(3)
    taken = []
    for i in range(max(40, 200_000 // size)):
        numbers = random.permutation(label_sets)[:size]
        if len(numbers) < size:
            numbers = random.integers(0, label_sets, size)
        batch = source.request(numbers, None, _BEGIN + i * 10**7)
        began = time.thread_time_ns()
        processor.observe(batch)
        taken.append(time.thread_time_ns() - began)
    return float(np.median(taken[len(taken) // 4 :])) / size / 1000


def _resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def _main() -> None:
    parts = {"memory": memory, "time": cpu, "kept": kept}
    if len(sys.argv) > 1:
        parts[sys.argv[1]]()
        return
    print(f"Taken on {describe()}.\n", flush=True)
    for part in parts:
        subprocess.run([sys.executable, "-m", "benchmarks.series", part], check=True)


if __name__ == "__main__":
    _main()
