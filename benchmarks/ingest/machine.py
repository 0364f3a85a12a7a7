"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

_LIBRARIES: Final = ("grpcio", "protobuf", "numpy")


def describe() -> str:
    """The processor, the kernel, the interpreter and the libraries that decide about speed."""
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    kernel = platform.release().partition("-")[0]  # what follows names a build, not a version
    return (
        f"{len(os.sched_getaffinity(0))} CPUs ({_processor()}), Linux {kernel}, "
        f"Python {platform.python_version()}, {libraries}"
    )


def split_cpus(cpus: set[int]) -> tuple[frozenset[int], frozenset[int]]:
    """One CPU for the target, the others for load and sink; the same where there is only one."""
    target = frozenset({max(cpus)})
    return target, frozenset(cpus) - target or target


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
