"""How much memory this process may have, as the kernel says it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MIB: Final = 1 << 20
_LEAST_BUDGET: Final = 32 * _MIB
_MOST_BUDGET: Final = 4096 * _MIB
_SHARE: Final = 6


def default_budget(limit: int) -> int:
    """The bytes that requests in flight may take of so much memory: a sixth, 32 MiB to 4 GiB.

    As much again stays with the allocator for a moment after each of its peaks, and the rest is
    for series, windows and queues, for connections, and for the process itself.
    """
    return min(max(limit // _SHARE, _LEAST_BUDGET), _MOST_BUDGET)


def memory_limit(root: Path = Path("/")) -> int:
    """The least of RLIMIT_DATA, RLIMIT_AS, the memory limits of the cgroups, and the RAM, in bytes.

    cgroups of version 2 and 1 are read below `root`, those above this process's own included.
    """
    limits = [
        soft
        for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS)
        if (soft := resource.getrlimit(kind)[0]) != resource.RLIM_INFINITY
    ]
    limits.extend(_cgroup_limits(root))
    limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(limits)


def _cgroup_limits(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return  # no Linux, or no /proc
    for line in lines:
        _, _, of = line.partition(":")
        controllers, _, group = of.partition(":")
        if not controllers:
            folder, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            folder, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        # In a container the path is often that of the host, and only the root is there.
        inner = folder / group.lstrip("/")
        for ancestor in (inner, *inner.parents):
            if ancestor.is_relative_to(folder):
                yield from _written(ancestor / name)


def _written(file: Path) -> Iterator[int]:
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        return
    if text.isdigit():  # else "max"
        yield int(text)
