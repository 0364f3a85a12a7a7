"""Many small pieces as few chunks of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

CHUNK_BYTES: Final = 512 * 1024
"""What handing a chunk from the thread that renders to the socket costs, it costs seldom."""


def byte_chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join bytes into chunks; each ends with a whole piece, near 512 KiB."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= CHUNK_BYTES:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    if waiting:
        yield b"".join(waiting)
