"""CPU a span and memory of spanmill beside the real Collector, measured in one run."""

from __future__ import annotations

import argparse
import os
import random
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import gmtime, strftime
from typing import Final

from benchmarks.ingest.load import Sending
from benchmarks.ingest.machine import describe
from benchmarks.ingest.plan import Plan
from benchmarks.ingest.rotel import Rotel
from benchmarks.ingest.table import (
    BESIDE_THE_COLLECTOR,
    BY_CAPABILITY,
    BY_LABEL_SETS,
    around_marks,
    put,
    render,
)
from benchmarks.ingest.targets import (
    CAPABILITIES,
    Collector,
    Spanmill,
    Target,
    components_folder,
)
from spanmill.clock import Clock, SystemClock
from spanmill.errors import SpanmillError

_COMMAND: Final = ("python", "-m", "benchmarks.ingest")
_DATA: Final = Path(__file__).resolve().parents[3] / "shared/data/astronomy-oteltraces.zst"
_TENANTS: Final = {
    "name": "tenants",
    "file": str(Path(__file__).resolve().parents[2] / "docs/examples/tenants.py"),
    "settings": {"attribute": "http.method"},
}
"""The first example of docs/processors.md, by an attribute that many recorded spans have."""
_PATHS: Final = {"derive": False, "forward": True}
_WAYS: Final = (
    Sending(connections=4),
    Sending(gzip=True),
    Sending(transport="HTTP"),
    Sending(transport="HTTP", gzip=True),
    Sending(spans_per_second=50_000),
)
_TARGETS: Final[Mapping[str, Callable[[Path], Target]]] = {
    "collector": lambda components: Collector(components / "otelcol"),
    "spanmill": lambda _components: Spanmill(),
    "plain": lambda _components: _plain(),
    "rotel": lambda _components: Rotel(),
    "reference": lambda _components: Spanmill("spanmill, no kernels", kernels=False),
}


def main(arguments: Sequence[str], environment: Mapping[str, str], clock: Clock) -> int:
    """Measure, print the table, and put it into a page where one is named.

    The exit code is 1 where a row is void, and 2 where the run could not begin.
    """
    options = _parser(environment).parse_args(arguments)
    plan = _plan(options)
    table = BESIDE_THE_COLLECTOR
    if options.capabilities:
        table = BY_CAPABILITY
    elif options.label_sets != [None]:
        table = BY_LABEL_SETS
    try:
        if options.write:
            around_marks(options.write, table)  # rather than after the measurement
        heading = _heading(plan.targets, arguments, clock)
        rows = plan.run(clock, random.Random(), _show)
        baseline = _plain().name if options.capabilities else Collector.name
        report = f"{heading}\n\n{render(rows, baseline)}"
        print(report)
        if options.write:
            put(options.write, table, report)
    except SpanmillError as error:
        print(f"benchmarks.ingest: {error}", file=sys.stderr)
        return 2
    return 1 if any(row.void() for row in rows) else 0


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=" ".join(_COMMAND), description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="a few thousand spans once, to see that it works")
    add(
        "--capabilities",
        action="store_true",
        help="spanmill alone: each capability on beside the plain path, instead of --targets",
    )
    add("--targets", nargs="+", choices=_TARGETS, default=["collector", "spanmill", "plain"])
    add("--paths", nargs="+", choices=_PATHS, default=list(_PATHS))
    add(
        "--ways",
        action="store_true",
        help="also several connections, gzip, HTTP and a fixed rate, at 512 spans a request",
    )
    add("--batches", nargs="+", type=_count, metavar="N", help="spans a request")
    add(
        "--label-sets",
        nargs="+",
        type=_count,
        metavar="N",
        default=[None],
        help="spanmill alone, with spans of so many label sets instead of those recorded",
    )
    add("--rounds", type=_count, metavar="N", help="runs of each target, in turns (default: 3)")
    add("--passes", type=_count, metavar="N", help="passes over the recording in each run")
    add("--spans", type=_count, metavar="N", help="use only the first N recorded spans")
    add("--in-flight", type=_count, metavar="N", default=4, help="requests (default: %(default)s)")
    add("--data", type=Path, metavar="FILE", default=_DATA, help="the recorded spans")
    add(
        "--components",
        type=Path,
        metavar="FOLDER",
        default=components_folder(environment),
        help="where otelcol is (default: what SPANMILL_COMPONENTS names)",
    )
    add("--write", type=Path, metavar="PAGE", help="put the table into this Markdown page")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _plan(options: argparse.Namespace) -> Plan:
    quick: bool = options.quick
    by_capability: bool = options.capabilities
    targets = [_TARGETS[name](options.components) for name in options.targets]
    if options.label_sets != [None]:
        # More than the default: it must hold every label set.
        room = max(options.label_sets) + 1
        targets = [
            Spanmill(max_series=room),
            Spanmill("span metrics alone", (), max_series=room),
        ]
    batches = (512,) if quick else (512, 8192) if by_capability else (10, 100, 512, 8192)
    return Plan(
        targets=_by_capability() if by_capability else targets,
        batches=options.batches or batches,
        forward=[False] if by_capability else [_PATHS[path] for path in options.paths],
        rounds=options.rounds or (1 if quick else 3),
        passes=options.passes or (1 if quick else None),
        in_flight=options.in_flight,
        ways=_WAYS if options.ways else (),
        label_sets=options.label_sets,
        recording=options.data,
        spans=options.spans or (4096 if quick else None),
    )


def _plain() -> Spanmill:
    return Spanmill("span metrics alone", ())


def _by_capability() -> list[Target]:
    alone = [Spanmill(f"+ {capability}", (capability,)) for capability in CAPABILITIES]
    tenants = Spanmill("+ processor of one's own", (), processors=[_TENANTS])
    return [_plain(), *alone, tenants, Spanmill("everything")]


def _heading(targets: Sequence[Target], arguments: Sequence[str], clock: Clock) -> str:
    day = strftime("%Y-%m-%d", gmtime(clock.time_ns() // 1_000_000_000))
    versions = "; ".join(dict.fromkeys(target.version() for target in targets))
    command = shlex.join([*_COMMAND, *arguments])
    return f"Taken on {day} with `{command}`: {describe()}; {versions}."


def _show(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, SystemClock()))
