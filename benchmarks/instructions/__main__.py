"""Instructions a span of decoder, table, pairing and rendering, counted by valgrind's callgrind."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.instructions.baseline import (
    BASELINE,
    Baseline,
    machine,
    read_baseline,
    write_baseline,
)
from benchmarks.instructions.counting import count_instructions

MOST_GROWTH = 1.10
"""A count that is more than so many times its baseline is a regression."""

_RENEW = (
    "renew the baseline, on this machine and in a commit of its own: "
    "python -m benchmarks.instructions --write"
)


def main(arguments: Sequence[str]) -> int:
    """Count, and print, compare or write; 1 where something takes 10 % more instructions."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="fail on 10 %% more than the baseline")
    action.add_argument("--write", action="store_true", help="make these counts the baseline")
    parser.add_argument("--baseline", type=Path, default=BASELINE, help="the file of counts")
    options = parser.parse_args(arguments)
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed (the package valgrind)", file=sys.stderr)
        return 1 if os.environ.get("CI") else 0
    counts = count_instructions()
    if options.write:
        write_baseline(options.baseline, Baseline(machine(), counts))
        print_table(counts, {})
        return 0
    baseline = read_baseline(options.baseline)
    print_table(counts, baseline.counts)
    return check(counts, baseline) if options.check else 0


def print_table(counts: Mapping[str, float], before: Mapping[str, float]) -> None:
    """The counts as Markdown."""
    print("| what | instructions | baseline | ratio |\n|---|---:|---:|---:|")
    for name, count in counts.items():
        known = before.get(name)
        shown = f"{known:,.0f} | {count / known:.3f}" if known else "- | -"
        print(f"| {name} | {count:,.0f} | {shown} |")


def check(counts: Mapping[str, float], baseline: Baseline) -> int:
    """1 where a count has grown by more than a tenth on the machine of the baseline.

    With other versions nothing can be compared: that is reported, and 1 in CI alone (the variable
    `CI` is set), where it would go on unnoticed.
    """
    here = machine()
    others = [f"{key} {here[key]}, not {value}" for key, value in baseline.machine.items()
              if here[key] != value]  # fmt: skip
    if others:
        print(f"reported alone, since the baseline is of another machine: {'; '.join(others)}")
        if not os.environ.get("CI"):
            return 0
        print(f"nothing is checked in CI until that changes; {_RENEW}", file=sys.stderr)
        return 1
    failed = [
        name
        for name, count in counts.items()
        if name in baseline.counts and count > MOST_GROWTH * baseline.counts[name]
    ]
    for name in failed:
        print(f"more than 10 % above the baseline: {name}", file=sys.stderr)
    unknown = counts.keys() ^ baseline.counts.keys()
    for name in sorted(unknown):
        print(f"not both measured and in the baseline: {name}", file=sys.stderr)
    if failed or unknown:
        print(_RENEW, file=sys.stderr)
    return 1 if failed or unknown else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
