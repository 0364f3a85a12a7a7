"""Recorded requests in a file: a zstd stream of [4-byte big-endian length][message]."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import zstandard

from spanmill.errors import StartError

LONGEST_MESSAGE: Final = 64 << 20
"""Bytes: the default `max_request_size` of a receiver, so no longer one could be replayed."""

_HEADER: Final = struct.Struct(">I")


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_framed(path: Path, longest: int = LONGEST_MESSAGE) -> Iterator[bytes]:
    """The messages of a file, one in memory at a time.

    Raises StartError, which names the file and the byte of the uncompressed stream, where it
    can't be read, is no zstd, is cut short or has a message of more than `longest` bytes.
    """
    try:
        with path.open("rb") as file:
            # Files are made by appending, too: the frames of zstd are read as one stream.
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            yield from _messages(reader, path, longest)
    except OSError as error:
        raise StartError(f"can't read {path}: {error.strerror or error}") from error
    except zstandard.ZstdError as error:
        raise StartError(f"{path} is not a zstd file, or it is damaged: {error}") from error


def _messages(reader: _Reader, path: Path, longest: int) -> Iterator[bytes]:
    position = 0
    while header := _read(reader, _HEADER.size):
        begin = position + _HEADER.size
        if len(header) < _HEADER.size:
            raise StartError(f"{path} is cut short at byte {position + len(header)}")
        (length,) = _HEADER.unpack(header)
        if length > longest:
            raise StartError(
                f"{path} announces a message of {length} bytes at byte {position}, more than "
                f"{longest}: it is damaged, or no file of [4-byte length][message]"
            )
        message = _read(reader, length)
        position = begin + len(message)
        if len(message) < length:
            raise StartError(
                f"{path} is cut short at byte {position}: "
                f"{length - len(message)} bytes of a message are missing"
            )
        yield message


def _read(reader: _Reader, size: int) -> bytes:
    pieces = []
    while size and (piece := reader.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
