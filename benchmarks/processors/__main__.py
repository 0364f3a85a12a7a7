"""What the documented examples cost, and the first of them one span at a time.

On recorded spans, to which the attributes are added that the examples read: of 100 tenants the
busiest has a fifth of the spans, and each client span is one of 20 statements.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.ingest.machine import describe
from benchmarks.ingest.payloads import read_recording, regroup
from spanmill.clock import SystemClock
from spanmill.config.processors import ProcessorConfig
from spanmill.errors import SpanmillError
from spanmill.processors import ABSENT, CLIENT, Coded, SpanBatch
from spanmill.processors.hosted import HostedProcessor
from spanmill.processors.own import build_own_processor
from spanmill.series.registry import Registry
from spanmill.spans.batch import AttributeValue
from spanmill.spans.installed import load_decoder

_ROOT = Path(__file__).resolve().parents[2]
_DATA = _ROOT.parent / "shared/data/astronomy-oteltraces.zst"
_EXAMPLES = _ROOT / "docs/examples"
_ROUNDS = 15
_TENANTS, _STATEMENTS = 100, 20
_WORDS = ("SELECT", "select", "INSERT INTO", "UPDATE", "WITH")


def main(arguments: Sequence[str], cpu_ns: Callable[[], int]) -> int:
    """Print a table; the exit code is 2 where the recording can't be read."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.processors", description=__doc__)
    parser.add_argument("--data", type=Path, default=_DATA, help="the recorded spans")
    options = parser.parse_args(arguments)
    files = {
        "requests by tenant": _EXAMPLES / "tenants.py",
        "apdex": _EXAMPLES / "apdex.py",
        "database time by statement": _EXAMPLES / "database_time.py",
        "requests by tenant, one span at a time": _EXAMPLES / "tenants_per_span.py",
    }
    try:
        sizes = {size: _batches(options.data, size) for size in (512, 8192)}
    except SpanmillError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Taken on {describe()}.\n")
    print("| example | 512 a request: µs a call | µs a span | 8,192 a request: µs a span |")
    print("|---|---:|---:|---:|")
    for name, file in files.items():
        small, large = (_call_ns(_hosted(file), sizes[size], cpu_ns) for size in (512, 8192))
        print(f"| {name} | {small / 1000:.0f} | {small / 512_000:.3f} | {large / 8_192_000:.3f} |")
    return 0


def _hosted(file: Path) -> HostedProcessor:
    return build_own_processor(ProcessorConfig(name="measured", file=file), Registry(SystemClock()))


def _call_ns(
    hosted: HostedProcessor, batches: Sequence[SpanBatch], cpu_ns: Callable[[], int]
) -> float:
    """CPU time of one call, the least of several rounds over all batches."""
    least = float("inf")
    for _ in range(_ROUNDS):
        begun = cpu_ns()
        for batch in batches:
            hosted.observe(batch)
        least = min(least, (cpu_ns() - begun) / len(batches))
    return least


def _batches(file: Path, size: int) -> list[SpanBatch]:
    """Full batches of recorded spans with the columns of the examples."""
    chances = np.random.default_rng(1)
    decoder = load_decoder(())
    arrival_ns = SystemClock().time_ns()
    decoded = (
        decoder.decode(request.SerializeToString()).batch
        for request in regroup(read_recording(file), size)
    )
    return [_widened(b.arrived(arrival_ns), chances) for b in decoded if len(b) == size]


def _widened(batch: SpanBatch, chances: np.random.Generator) -> SpanBatch:
    rows = len(batch)
    share = 1 / np.arange(1, _TENANTS + 1)
    tenants = chances.choice(_TENANTS, rows, p=share / share.sum())
    statements = np.where(batch.kind == CLIENT, chances.integers(0, _STATEMENTS, rows), ABSENT)
    systems = np.where(batch.kind == CLIENT, 0, ABSENT)
    texts = [f"{_WORDS[i % len(_WORDS)]} table_{i} WHERE id = ?" for i in range(_STATEMENTS)]
    columns: dict[str, Coded[AttributeValue]] = {
        "tenant.id": _column(tenants, [f"tenant-{i:04}" for i in range(_TENANTS)]),
        "db.system.name": _column(systems, ["postgresql"]),
        "db.operation.name": _column(np.full(rows, ABSENT), []),
        "db.query.text": _column(statements, texts),
    }
    return dataclasses.replace(batch, attributes=columns)


def _column(codes: npt.NDArray[np.int64], values: Sequence[str]) -> Coded[AttributeValue]:
    """The column as a decoder makes it: values by first row, none that no row has."""
    given = codes[codes != ABSENT]
    distinct, first = np.unique(given, return_index=True)
    order = np.argsort(first)
    moved = np.full(len(values) + 1, ABSENT, np.int32)
    moved[distinct[order]] = np.arange(len(distinct), dtype=np.int32)
    return Coded(moved[codes], [values[i] for i in distinct[order].tolist()])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], time.thread_time_ns))
