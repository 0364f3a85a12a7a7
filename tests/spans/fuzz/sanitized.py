"""The fuzzer with the decoder's kernel under AddressSanitizer and UndefinedBehaviorSanitizer.

`PYTHONPATH=tests python -m spans.fuzz.sanitized --seconds 20`; all arguments are the fuzzer's.
A C compiler without sanitizers is a failure in CI (the variable `CI` is set), else a skip.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from spans.fuzz.built_copy import (
    REPORTED,
    SANITIZERS,
    build_copy,
    fuzz_copy,
    sanitizer_environment,
)
from spans.fuzz.command import FINDINGS
from spans.fuzz.last_request import LAST_REQUEST, finding_name, read_last


def main(arguments: Sequence[str]) -> int:
    """Build and run; the fuzzer's exit status, or that of the sanitizer's report."""
    environment = sanitizer_environment()
    if environment is None:
        print("skipped: the C compiler has no AddressSanitizer (libasan)", file=sys.stderr)
        return 1 if os.environ.get("CI") else 0
    with tempfile.TemporaryDirectory() as folder:
        build_copy(Path(folder), SANITIZERS)
        findings = Path(folder) / "findings"
        options = ["--poison", *arguments, "--findings", str(findings)]
        run = fuzz_copy(Path(folder), options, environment)
        print(run.stdout, end="")
        if run.returncode == REPORTED:
            keep_last(findings / LAST_REQUEST)
        for finding in findings.glob("*.bin"):
            FINDINGS.mkdir(exist_ok=True)
            shutil.copy(finding, FINDINGS)
    return run.returncode


def keep_last(last: Path) -> None:
    """Keep the request at which a sanitizer ended the process as a finding, and say so."""
    body = read_last(last)
    FINDINGS.mkdir(exist_ok=True)
    file = FINDINGS / finding_name(body)
    file.write_bytes(body)
    print(f"\nfinding: the sanitizer's report above, {len(body)} bytes")
    print(f"  {body[:64].hex(' ')}{' …' if len(body) > 64 else ''}")
    print(f"  again: PYTHONPATH=tests python -m spans.fuzz.sanitized --replay {file}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
