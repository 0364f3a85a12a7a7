"""A process whose wall clock is set forward and back, by a library that is loaded before libc."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock_shift.c")


class NoCompilerError(Exception):
    """The library can't be built here."""


class ClockShift:
    """The shift of the clock of every process that has `environment`; 0 seconds at first."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise NoCompilerError("no C compiler is there to build clock_shift.c with")
        library = folder / "clock_shift.so"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", str(_SOURCE), "-o", str(library), "-ldl"],
            check=True,
        )
        self._file = folder / "clock_shift"
        self._file.write_bytes(bytes(8))
        self.environment: Mapping[str, str] = {
            "LD_PRELOAD": str(library),
            "CLOCK_SHIFT_FILE": str(self._file),
        }

    def set(self, seconds: int) -> None:
        """From now on the clock is so many seconds ahead of the machine's."""
        with self._file.open("r+b") as file:  # the same file: it is mapped
            file.write(struct.pack("=q", seconds))
