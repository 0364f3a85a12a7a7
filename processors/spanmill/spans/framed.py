"""Recorded requests in a file: a zstd stream of [4-byte big-endian length][message]."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import zstandard

from spanmill.errors import StartError

LONGEST_MESSAGE: Final = 64 << 20
"""Bytes: the default `max_request_size` of a receiver, so no longer one could be replayed."""

_HEADER: Final = struct.Struct(">I")

# RFC 8878: the frames of a zstd file (sections 3.1.1 and 3.1.2), and their blocks (3.1.1.2).
_LONGEST_FRAME_HEADER: Final = 18
_SKIPPABLE: Final = 0x184D2A50
_SKIPPABLE_HEADER: Final = struct.Struct("<II")
_BLOCK_HEADER_SIZE: Final = 3
_RLE_BLOCK: Final = 1
_CHECKSUM_SIZE: Final = 4


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_framed(path: Path, longest: int = LONGEST_MESSAGE) -> Iterator[bytes]:
    """The messages of a file, one in memory at a time.

    A file without its end is found out after the last whole message: its cut can be where a
    message ends, or in what zstd has behind the content.

    Raises StartError, which names the file and the byte of the uncompressed stream, where it
    can't be read, is no zstd, is cut short or has a message of more than `longest` bytes.
    """
    try:
        with path.open("rb") as file:
            # Files are made by appending, too: the frames of zstd are read as one stream.
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            yield from _messages(reader, path, longest)
            _check_end(file, path)
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


def _check_end(file: BinaryIO, path: Path) -> None:
    """StartError unless the last zstd frame is whole, which the decompressor doesn't say.

    Reads the headers of frames and blocks only; that they are sound was seen by decompressing.
    """
    size = file.seek(0, os.SEEK_END)
    position = _frame_end(file, 0)
    while position < size:
        position = _frame_end(file, position)
    if position > size:
        raise StartError(f"{path} is cut short at byte {size} of the file: zstd has more to come")


def _frame_end(file: BinaryIO, begin: int) -> int:
    """Where the frame that begins there ends, at least; beyond the file's end if that is cut."""
    file.seek(begin)
    header = file.read(_LONGEST_FRAME_HEADER)
    if len(header) >= _SKIPPABLE_HEADER.size:
        magic, length = _SKIPPABLE_HEADER.unpack_from(header)
        if magic & ~0xF == _SKIPPABLE:
            return begin + _SKIPPABLE_HEADER.size + int(length)
    try:
        position = begin + zstandard.frame_header_size(header)
        has_checksum = zstandard.get_frame_parameters(header).has_checksum
    except zstandard.ZstdError:  # fewer bytes than a header has
        return begin + len(header) + 1
    last = False
    while not last:
        file.seek(position)
        block = file.read(_BLOCK_HEADER_SIZE)
        if len(block) < _BLOCK_HEADER_SIZE:
            return position + _BLOCK_HEADER_SIZE
        fields = int.from_bytes(block, "little")
        last, kind, length = bool(fields & 1), fields >> 1 & 3, fields >> 3
        position += _BLOCK_HEADER_SIZE + (1 if kind == _RLE_BLOCK else length)
    return position + (_CHECKSUM_SIZE if has_checksum else 0)
