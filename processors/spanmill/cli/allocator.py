"""The C library's allocator, told to keep less and to give back what is free."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from pathlib import Path
from typing import Final

# malloc.h of the GNU C library.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

_ARENAS: Final = 1
_MMAP_THRESHOLD: Final = 4 * 1024 * 1024
_TRIM_THRESHOLD: Final = 32 * 1024 * 1024
_TRIM_SECONDS: Final = 1.0
_WORTH_TRIMMING: Final = 16 * 1024 * 1024
_GROWTH: Final = 8 * 1024 * 1024
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


class Allocator:
    """Bounds what the process holds without using it, and spares it page faults.

    As it comes, the GNU C library makes up to eight arenas a core, each of which keeps what was
    freed in it, and gives the end of an arena back after almost every request, whose pages the
    next request has to fault in anew: a quarter of what receiving 300 KB costs. Here there is one
    arena (nearly all allocations are made under the GIL anyway), which keeps up to 32 MiB at its
    end; larger blocks than 4 MiB go back at once, and what is free goes back within a second where
    it is 16 MiB or more. On another C library nothing of this happens. docs/transport.md has the
    figures.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._mallopt = getattr(library, "mallopt", None)
        self._trim = getattr(library, "malloc_trim", None)
        self._resident = 0  # after the latest trimming
        self._info = getattr(library, "mallinfo2", None)  # since 2.33
        if self._info is not None:
            self._info.restype = _Mallinfo2

    def configure(self) -> None:
        """To be called before there are threads."""
        if self._mallopt is None or self._trim is None:
            return  # musl, say, has neither arenas nor thresholds
        self._mallopt(_M_ARENA_MAX, _ARENAS)
        self._mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
        self._mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD)

    def settle(self) -> None:
        """Once all is loaded: let the collector pass over what stays, and give back the rest."""
        gc.collect()
        gc.freeze()
        if self._trim is not None:
            self._trim(0)

    def start(self) -> None:
        """Give back what is free from now on, in a thread."""
        if self._trim is not None:
            threading.Thread(target=self._keep_trimming, name="allocator", daemon=True).start()

    def trim(self) -> bool:
        """Give back what is free where that is worth it; whether it was."""
        if self._trim is None:
            return False
        if self._info is not None and self._info().fordblks < _WORTH_TRIMMING:
            return False
        # What lies free between blocks in use counts as free even after it went back.
        if _resident_bytes() < self._resident + _GROWTH:
            return False
        self._trim(0)
        self._resident = _resident_bytes()
        return True

    def _keep_trimming(self) -> None:
        pause = threading.Event()
        while not pause.wait(_TRIM_SECONDS):
            self.trim()


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE
