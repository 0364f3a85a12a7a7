"""The busiest against first come, first served: the share of spans with series of their own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from benchmarks.limits.flood import flood_cost
from benchmarks.limits.scale import bytes_a_label_set, calls_at
from benchmarks.limits.shares import shares
from benchmarks.limits.streams import Stream

STREAMS: Final = (
    Stream("steady"),
    Stream("drifting: 20 of 20,000 change places a tick", changing=20),
    Stream("after 5,000 names that come once, 5 % of those later", flood=5_000, junk=0.05),
    Stream("flatter (exponent 0.8), drifting", exponent=0.8, changing=20),
)

_SCALE_TICKS: Final = 60


def main(arguments: Sequence[str]) -> int:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--limit", type=int, default=1_000, help="label sets (default: 1000)")
    parser.add_argument("--ticks", type=int, default=360, help="of 10 s each (default: 360)")
    parser.add_argument("--seed", type=int, default=1, help="of the stream (default: 1)")
    parser.add_argument("--flood", type=int, metavar="N", help="the cost of N new label sets")
    parser.add_argument("--scale", type=int, metavar="N", help="what N label sets take")
    options = parser.parse_args(arguments)
    if options.scale:
        print(f"a label set beside its texts: {bytes_a_label_set(options.scale):.0f} bytes")
        print("| call | calls | average ms | longest ms |")
        print("|---|---|---|---|")
        for calls in calls_at(options.scale, _SCALE_TICKS):
            cells = f"{calls.calls:,} | {calls.average:.2f} | {calls.longest:.1f}"
            print(f"| {calls.what} | {cells} |", flush=True)
        return 0
    if options.flood:
        cost = flood_cost(options.flood)
        print(f"a new label set in overflow: {cost.new:.1f} µs; a tick: {cost.tick:.0f} ms")
        print(f"memory beside the series, at its peak: {cost.memory:.0f} MB")
        print(f"500 known label sets: {cost.plain:.0f} µs, with traffic {cost.told:.0f} µs")
        return 0
    print("| stream | first come, first served | busiest | best possible | exchanged |")
    print("|---|---|---|---|---|")
    for stream in STREAMS:
        found = shares(stream, options.limit, options.ticks, options.seed)
        row = (found.first_come, found.busiest, found.possible)
        cells = " | ".join(f"{share:.1%}".replace("%", " %") for share in row)
        print(f"| {stream.name} | {cells} | {found.exchanged:,} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
