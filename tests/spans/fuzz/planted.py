"""Shows that the fuzzer finds a check that is missing: takes one out of a copy of the kernel.

`PYTHONPATH=tests python -m spans.fuzz.planted`; fails where a fault is not found. A C compiler
without sanitizers is a failure in CI (the variable `CI` is set); elsewhere what needs them is
left out.
"""

from __future__ import annotations

import difflib
import os
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from spans.fuzz.built_copy import (
    KERNEL,
    REPORTED,
    ROOT,
    SANITIZERS,
    Edit,
    build_copy,
    fuzz_copy,
    sanitizer_environment,
)

_FOUND: Final = 1
_MUTATIONS: Final = "100000"
_REPORT_LINES: Final = 12


class Planted(NamedTuple):
    """A fault, and who sees it: the comparison of both decoders, or AddressSanitizer alone."""

    what: str
    edit: Edit
    sanitized: bool


PLANTED: Final = (
    Planted(
        "a number of 8 bytes is read wherever its field begins",
        Edit(KERNEL, "        if c.end - c.at < 8:\n            return BAD\n", ""),
        sanitized=False,
    ),
    Planted(
        "a number may have more than 64 bits",
        Edit(KERNEL, " or (i == 9 and byte > 1)", ""),
        sanitized=False,
    ),
    Planted(
        "a message that becomes shorter keeps the length of its length",
        Edit(KERNEL, " + varint_size(length) - varint_size(length - inner.saved)", ""),
        sanitized=False,
    ),
    Planted(
        "a text of 3 bytes is looked at 4 bytes at a time",
        Edit(KERNEL, "    elif length >= 4:\n", "    elif length >= 3:\n"),
        sanitized=True,
    ),
)


def main() -> int:
    """Plant each fault, and expect a finding."""
    environment = sanitizer_environment()
    missed = 0
    for planted in PLANTED:
        print(f"\n{planted.what}:\n{_diff(planted.edit)}", flush=True)
        if not planted.sanitized:
            missed += not _found(planted, {})
        elif environment is not None:
            missed += not _found(planted, environment)
        else:
            print("skipped: the C compiler has no AddressSanitizer (libasan)", file=sys.stderr)
            missed += bool(os.environ.get("CI"))
    return 1 if missed else 0


def _found(planted: Planted, environment: dict[str, str]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        build_copy(Path(folder), SANITIZERS if planted.sanitized else "", [planted.edit])
        options = ["--mutations", _MUTATIONS, "--most-findings", "1", "--findings", folder]
        if planted.sanitized:
            options.append("--poison")
        run = fuzz_copy(Path(folder), options, environment)
    lines = [line.replace(folder, "…") for line in run.stdout.splitlines()]
    print("\n".join(line[:200] for line in lines[:_REPORT_LINES]))
    found = run.returncode == (REPORTED if planted.sanitized else _FOUND)
    print("found" if found else f"NOT FOUND: exit status {run.returncode}", flush=True)
    return found


def _diff(edit: Edit) -> str:
    before = (ROOT / edit.file).read_text()
    after = before.replace(edit.old, edit.new)
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), n=2
    )
    return "".join(list(lines)[2:])


if __name__ == "__main__":
    sys.exit(main())
