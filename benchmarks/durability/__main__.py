"""CPU a span and time to the answer, by what the answer promises; the Collector beside it."""

from __future__ import annotations

import argparse
import os
import random
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import gettempdir
from time import gmtime, strftime
from typing import Final

from benchmarks.durability.disk import Disk
from benchmarks.durability.table import TABLE, Row, render
from benchmarks.durability.targets import DURABILITIES, DurableCollector, DurableSpanmill
from benchmarks.ingest.load import PLAINLY, Sending
from benchmarks.ingest.machine import describe, split_cpus
from benchmarks.ingest.measurement import Measurement, Procedure, Workload, measure
from benchmarks.ingest.payloads import Payloads, read_recording, regroup
from benchmarks.ingest.process import pinned
from benchmarks.ingest.table import around_marks, put
from benchmarks.ingest.targets import Target, components_folder
from spanmill.clock import Clock, SystemClock
from spanmill.errors import SpanmillError

_COMMAND: Final = ("python", "-m", "benchmarks.durability")
_DATA: Final = Path(__file__).resolve().parents[3] / "shared/data/astronomy-oteltraces.zst"
_BATCH: Final = 512
_BASELINE: Final = f"spanmill, {DURABILITIES[0]}"


def main(arguments: Sequence[str], environment: Mapping[str, str], clock: Clock) -> int:
    """Measure, print the tables, and put them into a page where one is named.

    The exit code is 1 where a row is void, and 2 where the run could not begin.
    """
    options = _parser(environment).parse_args(arguments)
    disk = Disk()
    try:
        if options.write:
            around_marks(options.write, TABLE)  # rather than after the measurement
        targets = _targets(options.targets, options.components)
        versions = "; ".join(dict.fromkeys(target.version() for target in targets))
        saturated, half = _run(options, targets, disk, clock)
        day = strftime("%Y-%m-%d", gmtime(clock.time_ns() // 1_000_000_000))
        command = shlex.join([*_COMMAND, *arguments])
        report = (
            f"Taken on {day} with `{command}`: {describe()}; {versions}.\n\n"
            f"{render(saturated, half, disk, _BASELINE)}"
        )
        print(report)
        if options.write:
            put(options.write, TABLE, report)
    except SpanmillError as error:
        print(f"benchmarks.durability: {error}", file=sys.stderr)
        return 2
    return 1 if any(row.void() for row in (*saturated, *half)) else 0


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=" ".join(_COMMAND),
        description=f"{__doc__} TMPDIR names the disk that is measured.",
    )
    add = parser.add_argument
    known = [*DURABILITIES, "collector", "collector-memory"]
    add("--targets", nargs="+", choices=known, default=[*DURABILITIES, "collector"])
    add("--in-flight", nargs="+", type=int, metavar="N", default=[1, 4, 16, 64])
    add("--rounds", type=int, metavar="N", default=3, help="runs of each, in turns")
    add("--passes", type=int, metavar="N", default=4, help="passes over the recording in each run")
    add("--no-half", action="store_true", help="leave the rows at half of the rate out")
    add("--spans", type=int, metavar="N", help="use only the first N recorded spans")
    add("--data", type=Path, metavar="FILE", default=_DATA, help="the recorded spans")
    add("--components", type=Path, metavar="FOLDER", default=components_folder(environment))
    add("--write", type=Path, metavar="PAGE", help="put the tables into this Markdown page")
    return parser


def _targets(names: Sequence[str], components: Path) -> list[Target]:
    otelcol = components / "otelcol"
    return [
        DurableSpanmill(name)
        if name in DURABILITIES
        else DurableCollector(otelcol, storage=name == "collector")
        for name in names
    ]


def _run(
    options: argparse.Namespace, targets: Sequence[Target], disk: Disk, clock: Clock
) -> tuple[list[Row], list[Row]]:
    """The rows as fast as possible, and those at half of that rate.

    Every pass has ids and times of its own: no two requests have the same bytes, which spanmill
    would count once.
    """
    target_cpus, load_cpus = split_cpus(os.sched_getaffinity(0))
    saturated: list[Row] = []
    half: list[Row] = []
    with pinned(load_cpus):
        recording = read_recording(options.data)
        payloads = Payloads(regroup(recording, _BATCH, options.spans), clock, random.Random())
        rounds: int = options.rounds
        for in_flight in options.in_flight:
            procedure = Procedure(options.passes, in_flight, target_cpus, load_cpus)
            plainly = dict.fromkeys((target.name for target in targets), PLAINLY)
            fast = _alternate(targets, plainly, payloads, procedure, rounds=rounds, disk=disk)
            saturated += fast
            if options.no_half:
                continue
            halved = {
                row.target: Sending(spans_per_second=max(1, round(row.rate() / 2)))
                for row in fast
                if not row.void()
            }
            half += _alternate(targets, halved, payloads, procedure, rounds=rounds, disk=disk)
    return saturated, half


def _alternate(
    targets: Sequence[Target],
    sendings: Mapping[str, Sending],
    payloads: Payloads,
    procedure: Procedure,
    *,
    rounds: int,
    disk: Disk,
) -> list[Row]:
    """The targets take turns, so that a noisy minute meets all of them."""
    runs: dict[str, list[Measurement]] = {}
    for number in range(1, rounds + 1):
        for target in targets:
            if target.name not in sendings:
                continue
            disk.look(Path(gettempdir()))
            workload = Workload(_BATCH, True, sendings[target.name])
            measured = measure(target, workload, payloads, procedure)
            runs.setdefault(target.name, []).append(measured)
            void = measured.books.void()
            told = f"void: {void}" if void else f"{measured.microseconds_a_span:.2f} µs"
            print(
                f"{procedure.in_flight} in flight, {workload.sending}, round {number}: "
                f"{target.name} {told}, p99 {measured.ack_p99 * 1e3:.1f} ms",
                file=sys.stderr,
                flush=True,
            )
    return [Row(procedure.in_flight, name, measured) for name, measured in runs.items()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, SystemClock()))
