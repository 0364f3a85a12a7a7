"""Kernels built in a copy of the sources: with sanitizers, with a check taken out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[3]
KERNEL: Final = Path("processors/spanmill/spans/_decode.py")
_NEEDED: Final = ("setup.py", "pyproject.toml", "README.md", "LICENSE")
DECODER: Final = (f"{KERNEL.stem}*",)
SANITIZERS: Final = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -g"

REPORTED: Final = 99
"""The exit status of a process that a sanitizer ended."""


class Edit(NamedTuple):
    """A text that a file has once, and what it becomes."""

    file: Path
    old: str
    new: str


def build_copy(
    folder: Path,
    flags: str = "",
    edits: Sequence[Edit] = (),
    kernels: Sequence[str] = DECODER,
) -> None:
    """Copy the sources into this folder, edit them, and build some kernels in place.

    `flags` are the C compiler's, beside setup.py's own; `kernels` are patterns of names. Raises
    SystemExit where an edit doesn't fit or a kernel can't be built.
    """
    ignored = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "processors", folder / "processors", ignore=ignored)
    for name in _NEEDED:
        shutil.copy(ROOT / name, folder)
    for edit in edits:
        file = folder / edit.file
        text = file.read_text()
        if text.count(edit.old) != 1:
            raise SystemExit(f"{edit.file} has this {text.count(edit.old)} times:\n{edit.old}")
        file.write_text(text.replace(edit.old, edit.new))
    with ThreadPoolExecutor(2) as builders:
        list(builders.map(lambda pattern: _build(folder, pattern, flags), kernels))


def _build(folder: Path, pattern: str, flags: str) -> None:
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "-j", "2"]
    only = {"SPANMILL_BUILD_ONLY": pattern, "CFLAGS": flags}
    built = subprocess.run(
        command, cwd=folder, env=os.environ | only, capture_output=True, text=True, check=False
    )
    # A kernel that does not compile is left out, without an error: the build is optional.
    package = folder / "processors" / "spanmill"
    missing = [
        source
        for source in package.rglob(f"{pattern}.py")
        if not list(source.parent.glob(f"{source.stem}.*.so"))
    ]
    if built.returncode or missing:
        raise SystemExit(f"a kernel was not built:\n{built.stdout}{built.stderr}")


def fuzz_copy(
    folder: Path, arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the fuzzer on the kernel of such a copy; its whole output is in `stdout`."""
    return run_on_copy(folder, ["spans.fuzz", *arguments], environment)


def run_on_copy(
    folder: Path, module: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a module with its arguments on such a copy; its whole output is in `stdout`."""
    paths = [str(folder / "processors"), str(ROOT / "tests")]
    return subprocess.run(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def sanitizer_environment() -> dict[str, str] | None:
    """What a process needs that loads a kernel with sanitizers; None where there are none."""
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        return None
    libraries = [_library(compiler, name) for name in ("libasan.so", "libstdc++.so")]
    if libraries[0] is None:
        return None
    return {
        # With libstdc++, since libasan looks for the thrower of C++ exceptions at the start.
        "LD_PRELOAD": " ".join(library for library in libraries if library is not None),
        "PYTHONMALLOC": "malloc",
        # The interpreter keeps what it allocated until it ends: no leaks are looked for.
        "ASAN_OPTIONS": f"detect_leaks=0:exitcode={REPORTED}",
        "UBSAN_OPTIONS": f"print_stacktrace=1:exitcode={REPORTED}",
    }


def _library(compiler: str, name: str) -> str | None:
    """Where the compiler keeps this library; it answers with the bare name where it has none."""
    found = subprocess.run(
        [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return found if "/" in found else None
