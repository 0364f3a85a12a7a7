"""AddressSanitizer made to see one byte too many read of a `bytes` object."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Final

_HASH_SIZE: Final = 8


def poison_ends() -> Callable[[bytes], None]:
    """What makes the bytes before and after a request's content unreadable for a kernel.

    CPython keeps the hash before the content and a NUL after it, in one allocation, so that
    AddressSanitizer sees neither read. Python itself isn't instrumented and goes on reading
    both; the allocation's end is poisoned until it is freed. Needs libasan preloaded and
    PYTHONMALLOC=malloc; raises SystemExit without.
    """
    program = ctypes.CDLL(None)
    if not hasattr(program, "__asan_poison_memory_region"):
        raise SystemExit("--poison needs AddressSanitizer: see spans.fuzz.sanitized")
    poison = program.__asan_poison_memory_region
    poison.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    poison.restype = None

    def before_decode(body: bytes) -> None:
        if len(body) < 2:  # CPython keeps these for ever, and shares them
            return
        content = id(body) + bytes.__basicsize__ - 1
        poison(content - _HASH_SIZE, _HASH_SIZE)
        poison(content + len(body), 1)

    if sys.implementation.name != "cpython":
        raise SystemExit("--poison knows the layout of CPython's bytes alone")
    return before_decode
