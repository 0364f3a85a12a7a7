"""The tests of other kernels' borders, with these kernels under the sanitizers.

`PYTHONPATH=tests python -m spans.fuzz.sanitized_borders --seed 1`; the seed is for hypothesis.
A C compiler without sanitizers is a failure in CI (the variable `CI` is set), else a skip.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from spans.fuzz.built_copy import SANITIZERS, build_copy, run_on_copy, sanitizer_environment

KERNELS: Final = ("_window", "_pairing", "_columns")
TESTS: Final = (
    "tests/series/test_window_borders.py",
    "tests/processors/service_graph_kernels/test_borders.py",
)


def main(arguments: Sequence[str]) -> int:
    """Build and run; the status of pytest or of the sanitizer's report, 1 where one is skipped."""
    parser = argparse.ArgumentParser(prog="python -m spans.fuzz.sanitized_borders")
    parser.add_argument("--seed", type=int, default=1, help="of hypothesis")
    options = parser.parse_args(arguments)
    environment = sanitizer_environment()
    if environment is None:
        print("skipped: the C compiler has no AddressSanitizer (libasan)", file=sys.stderr)
        return 1 if os.environ.get("CI") else 0
    with tempfile.TemporaryDirectory() as folder:
        build_copy(Path(folder), SANITIZERS, kernels=KERNELS)
        # Without capture, or a report would go with the process; each test is named before it.
        pytest = ["pytest", "-vv", "-s", "-p", "no:cacheprovider"]
        seed = f"--hypothesis-seed={options.seed}"
        run = run_on_copy(Path(folder), [*pytest, seed, *TESTS], environment)
    print(run.stdout, end="")
    if "SKIPPED" in run.stdout:
        print("a kernel with sanitizers was not loaded", file=sys.stderr)
        return 1
    return run.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
