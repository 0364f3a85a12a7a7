"""The allocator gives back what a large request leaves behind."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from platform import libc_ver

import pytest

from spanmill.cli.allocator import Allocator

PROGRAM = """
    import ctypes, gc, sys
    from pathlib import Path
    from spanmill.cli.allocator import Allocator

    def resident():
        status = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) // 1024

    allocator = Allocator()
    allocator.configure()
    before = resident()
    small = [b"x" * 100_000 for _ in range(1000)]
    kept = small[::20]  # so that what is free is no end of the heap
    full = resident()
    small.clear()
    trimmed = allocator.trim()
    print(before, full, resident(), trimmed, allocator.trim())
"""


@pytest.mark.skipif(libc_ver()[0] != "glibc", reason="only the GNU C library is told anything")
def test_what_is_free_goes_back_where_it_is_worth_it() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)], capture_output=True, text=True, check=True
    ).stdout.split()
    before, full, after = map(int, printed[:3])
    assert full > before + 90
    assert after < before + 20
    assert printed[3:] == ["True", "False"]


def test_without_the_gnu_library_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    allocator = Allocator()
    allocator.configure()
    allocator.start()
    assert allocator.trim() is False
