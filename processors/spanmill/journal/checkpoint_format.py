"""A checkpoint as bytes: a head that says what is in it, and one body for each kept part.

Layout: MAGIC · length and CRC32C of the head, little-endian uint32 each · the head in MessagePack
· the bodies, one after the other, each a state (journal/state.py) compressed with zstd. Every
body has its own CRC32C in the head; so does the head itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import google_crc32c
import msgspec
import zstandard

from spanmill.errors import CheckpointError
from spanmill.journal.state import State, decode_state, encode_state

FORMAT: Final = 1
"""Goes up with every change that another spanmill would misread; parts have versions besides."""
MAGIC: Final = b"SPMCKPT\n"

_PREFIX: Final = struct.Struct("<II")
_LEVEL: Final = 1  # a higher one takes several times as long, and a checkpoint is soon replaced


class _Part(msgspec.Struct):
    name: str
    size: int
    crc: int
    state_bytes: int


class _Format(msgspec.Struct):
    format: int
    spanmill: str


class _Head(msgspec.Struct):
    format: int
    spanmill: str
    position: int
    arrival_ns: int
    parts: list[_Part]
    time_ns: int = 0  # the first files of format 1 don't have it


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The states of all kept parts once the record at `position` was applied (-1: before any).

    `arrival_ns` is that of the record; `spanmill` the version that wrote it; `time_ns` when, Unix
    time, by the clock of the process; `size` the bytes of the file.
    """

    spanmill: str
    position: int
    arrival_ns: int
    time_ns: int
    size: int
    states: dict[str, State]


def encode_checkpoint(
    spanmill: str,
    position: int,
    arrival_ns: int,
    time_ns: int,
    states: Iterable[tuple[str, State]],
) -> list[bytes]:
    """The pieces of a checkpoint's file.

    A state is let go of before the next one is asked for, so that an iterator that does the same
    gives its memory back.
    """
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    parts, bodies = [], []
    for name, state in states:
        written = encode_state(state)
        del state
        body = compressor.compress(written)
        parts.append(_Part(name, len(body), google_crc32c.value(body), len(written)))
        bodies.append(body)
        del written
    head = msgspec.msgpack.encode(_Head(FORMAT, spanmill, position, arrival_ns, parts, time_ns))
    return [MAGIC, _PREFIX.pack(len(head), google_crc32c.value(head)), head, *bodies]


def decode_checkpoint(content: bytes) -> Checkpoint:
    """The checkpoint that a file's content is.

    Raises CheckpointError where it is damaged, cut short or of another format: one that is not
    whole restores nothing.
    """
    head, begin = _head(content)
    states = {}
    for part in head.parts:
        body = content[begin : begin + part.size]
        begin += part.size
        if len(body) < part.size:
            raise CheckpointError("it is cut short")
        if google_crc32c.value(body) != part.crc:
            raise CheckpointError(f"the state of {part.name} is damaged")
        try:
            written = zstandard.decompress(body, max_output_size=part.state_bytes)
        except zstandard.ZstdError as error:
            raise CheckpointError(f"the state of {part.name} is damaged: {error}") from error
        states[part.name] = decode_state(written)
    time_ns = head.time_ns or head.arrival_ns
    return Checkpoint(head.spanmill, head.position, head.arrival_ns, time_ns, len(content), states)


def _head(content: bytes) -> tuple[_Head, int]:
    """The head, and where the bodies begin."""
    begin = len(MAGIC) + _PREFIX.size
    if len(content) < begin or not content.startswith(MAGIC):
        raise CheckpointError("it is no checkpoint")
    size, crc = _PREFIX.unpack_from(content, len(MAGIC))
    written = content[begin : begin + size]
    if len(written) < size or google_crc32c.value(written) != crc:
        raise CheckpointError("its head is damaged")
    try:
        form = msgspec.msgpack.decode(written, type=_Format)
        if form.format != FORMAT:
            raise CheckpointError(
                f"spanmill {form.spanmill} wrote it in format {form.format}, and this one reads "
                f"format {FORMAT}"
            )
        return msgspec.msgpack.decode(written, type=_Head), begin + size
    except msgspec.DecodeError as error:
        raise CheckpointError(f"its head is damaged: {error}") from error
