"""The counts that others are compared with, and what they were made with."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np

from spanmill.kernels import load_kernel

BASELINE: Final = Path(__file__).with_name("baseline.json")
_KERNEL: Final = "spanmill.spans._decode"
_COMPILER: Final = re.compile(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+")


@dataclass(frozen=True, slots=True)
class Baseline:
    """Instructions by the name of what was done, and the machine where they were counted."""

    machine: Mapping[str, str]
    counts: Mapping[str, float]


def machine() -> dict[str, str]:
    """What instruction counts depend on, beside the code: where this differs, they do."""
    kernel = load_kernel(_KERNEL)
    return {
        "architecture": platform.machine(),
        "compiler": _compiler(kernel) if kernel is not None else "none: no kernels",
        "python": ".".join(platform.python_version_tuple()[:2]),
        "numpy": np.__version__,
        "libc": " ".join(platform.libc_ver()),
    }


def _compiler(kernel: ModuleType) -> str:
    """The compiler that a kernel was built with, as it noted it in the file."""
    assert kernel.__file__ is not None, "an extension has a file"
    found = _COMPILER.search(Path(kernel.__file__).read_bytes())
    return found[0].decode() if found else "unknown"


def read_baseline(file: Path) -> Baseline:
    """The counts that were written; none where the file isn't there."""
    if not file.exists():
        return Baseline({}, {})
    return Baseline(**json.loads(file.read_text()))


def write_baseline(file: Path, baseline: Baseline) -> None:
    """Write them, a line for each."""
    rounded = {name: round(count, 1) for name, count in baseline.counts.items()}
    content = {"machine": dict(baseline.machine), "counts": rounded}
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
