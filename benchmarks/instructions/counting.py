"""One process under callgrind, whose counts are cut into pieces."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

_MARK: Final = "getppid"
"""A function of the C library that nothing else calls: callgrind writes its counts at each call.

So start-up, warm-up and each piece of work are counted apart, in one process and without a
library that speaks to valgrind.
"""

_TOTALS: Final = re.compile(r"^totals: (\d+)$", re.MULTILINE)


def count_instructions() -> dict[str, float]:
    """Instructions a unit of each workload."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "callgrind")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        command += [f"--dump-before={_MARK}", sys.executable, "-m", "benchmarks.instructions.run"]
        # Sets and dicts of texts are the same each time.
        environment = os.environ | {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise SystemExit(f"valgrind failed:\n{ran.stderr}")
        units: dict[str, int] = json.loads(ran.stdout)
        return {
            name: _total(Path(f"{out}.{2 * number + 2}")) / count
            for number, (name, count) in enumerate(units.items())
        }


def mark() -> None:
    """Called before and after what is counted."""
    os.getppid()


def _total(dump: Path) -> int:
    found = _TOTALS.search(dump.read_text())
    if found is None:
        raise SystemExit(f"{dump} has no total")
    return int(found[1])
