"""The request that a decoder was given last, kept where a crash of the process leaves it."""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path
from typing import Final

LAST_REQUEST: Final = "last-request"
"""The file's name in the folder of findings."""

_SIZE: Final = 1 << 20
_LENGTH: Final = 8


class LastRequest:
    """A file of 1 MiB that holds one request: [8-byte little-endian length][request].

    It is mapped into memory, so that keeping a request is a copy; the system writes it even
    where the process is killed. Larger requests are not kept.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w+b") as opened:
            opened.truncate(_SIZE)
            self._map = mmap.mmap(opened.fileno(), _SIZE)

    def keep(self, body: bytes) -> None:
        """Keep this one in place of the one before."""
        if len(body) <= _SIZE - _LENGTH:
            self._map[: _LENGTH + len(body)] = len(body).to_bytes(_LENGTH, "little") + body


def read_last(file: Path) -> bytes:
    """The request that was kept."""
    kept = file.read_bytes()
    return kept[_LENGTH : _LENGTH + int.from_bytes(kept[:_LENGTH], "little")]


def finding_name(body: bytes) -> str:
    """The name of the file that a finding goes to."""
    return f"{hashlib.sha256(body).hexdigest()[:12]}.bin"
