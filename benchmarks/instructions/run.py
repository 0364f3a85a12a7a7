"""The process whose instructions are counted: does each workload once, between two marks."""

from __future__ import annotations

import gc
import json

from benchmarks.instructions.counting import mark
from benchmarks.instructions.workloads import WORKLOADS


def main() -> None:
    """Print how many units of each workload were done."""
    units = {}
    gc.disable()
    for workload in WORKLOADS:
        work = workload.prepare()
        work()  # what is done the first time only isn't counted
        mark()
        done = work()
        mark()
        units[workload.name] = done
    print(json.dumps(units))


if __name__ == "__main__":
    main()
