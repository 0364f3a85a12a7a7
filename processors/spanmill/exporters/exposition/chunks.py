"""Many small pieces as few chunks of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

CHUNK_BYTES: Final = 64 * 1024


def text_chunks(pieces: Iterable[str]) -> Iterator[bytes]:
    """Join text into UTF-8 chunks; each ends with a whole piece, near 64 KiB."""
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= CHUNK_BYTES:
            yield "".join(waiting).encode()
            waiting.clear()
            size = 0
    if waiting:
        yield "".join(waiting).encode()


def byte_chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join bytes into chunks; each ends with a whole piece, near 64 KiB."""
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
