"""What percentiles cost, and how exact they are beside those of other histograms."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.ingest.machine import describe
from benchmarks.ingest.payloads import read_recording, regroup
from benchmarks.percentiles.accuracy import Durations, errors
from benchmarks.percentiles.cost import Measured, many_series
from benchmarks.percentiles.pauses import pauses
from spanmill.errors import SpanmillError
from spanmill.series.targets import service_of
from spanmill.spans.batch import SpanBatch
from spanmill.spans.installed import load_decoder

_DATA = Path(__file__).resolve().parents[3] / "shared/data/astronomy-oteltraces.zst"
_SPANS = 2_000_000


def main(arguments: Sequence[str], cpu_ns: Callable[[], int]) -> int:
    """Print three tables; the exit code is 2 where the recording can't be read."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.percentiles", description=__doc__)
    parser.add_argument("--data", type=Path, default=_DATA, help="the recorded spans")
    options = parser.parse_args(arguments)
    try:
        recorded = {batch: _decoded(options.data, batch) for batch in (512, 8192)}
    except SpanmillError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Taken on {describe()}.\n")
    _print_errors(_by_series(recorded[8192]))
    _print_costs(recorded, cpu_ns)
    _print_pauses(cpu_ns)
    return 0


def _decoded(file: Path, batch: int) -> list[SpanBatch]:
    decoder = load_decoder((), ())
    requests = regroup(read_recording(file), batch)
    return [decoder.decode(request.SerializeToString()).batch for request in requests]


def _by_series(batches: Sequence[SpanBatch]) -> list[Durations]:
    found: dict[tuple[str, str, int], list[int]] = {}
    for batch in batches:
        services = [service_of(resource.attributes) for resource in batch.resource.values]
        rows = zip(
            batch.resource.codes.tolist(),
            batch.name.codes.tolist(),
            batch.kind.tolist(),
            batch.duration.tolist(),
            strict=True,
        )
        for resource, name, kind, duration in rows:
            key = (services[resource], batch.name.values[name], kind)
            found.setdefault(key, []).append(duration)
    return [np.array(durations, np.uint64) for durations in found.values()]


def _print_errors(series: Sequence[Durations]) -> None:
    print("| quantiles from | median error | 95 % of them below | largest |\n|---|---:|---:|---:|")
    for way, relative in errors(series).items():
        shown = (np.median(relative), np.quantile(relative, 0.95), relative.max())
        print(f"| {way} | {' | '.join(f'{100 * error:.2f} %' for error in shown)} |")
    print()


def _print_costs(recorded: dict[int, list[SpanBatch]], cpu_ns: Callable[[], int]) -> None:
    print(
        "| spans | a request | CPU a span, µs | snapshot, ms | values | slots, MB |\n"
        "|---|---:|---:|---:|---:|---:|"
    )
    for size, batches in recorded.items():
        many = many_series(_SPANS, size, np.random.default_rng(1))
        for name, given in (("recorded shop", batches * 8), ("1,000 series", many)):
            measured = Measured(cpu_ns)
            nanoseconds = measured.nanoseconds_a_span(given)
            milliseconds, values = measured.snapshot()
            megabytes = measured.window_bytes() / 1e6
            print(
                f"| {name} | {size:,} | {nanoseconds / 1000:.2f} | {milliseconds:.1f} "
                f"| {values:,} | {megabytes:.1f} |"
            )


def _print_pauses(cpu_ns: Callable[[], int]) -> None:
    print("\n| label sets | places | call | median, ms | longest, ms |\n|---:|---:|---|---:|---:|")
    for series, places in ((1_000, 1_000), (20_000, 20_000), (60_000, 20_000)):
        for what, (median, longest) in pauses(places, series, cpu_ns).items():
            print(f"| {series:,} | {places:,} | {what} | {median:.2f} | {longest:.1f} |")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], time.thread_time_ns))
