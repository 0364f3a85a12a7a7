"""A segment's first block, and the footer that spares scanning a sealed one.

The first BLOCK bytes of the file hold the segment's head, twice in case one is damaged, and once
it is sealed where its footer is, twice as well. Records follow; the rest of the file is room that
was allocated ahead, with zeros or what the file held in a former use.

    head, at 0 and 2048: 8s mark, u32 CRC32C of the rest, u32 format, u64 first position,
      u64 the position that was next when the segment before it ended, u32 salt,
      u32 flags (1: acknowledged without being synced), 16s journal id
    seal, at 1024 and 3072: 8s mark, u32 CRC32C of the rest, u64 where the records end,
      u64 where the footer is, u32 its length, u32 its CRC32C

The seal's sum begins with the salt: a file that is used again may still have its old seal.
The footer is MessagePack: `Footer`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import google_crc32c
import msgspec

from spanmill.journal.log import Signal
from spanmill.journal.record_format import begun_with, crc32c

FORMAT: Final = 1
BLOCK: Final = 4096
_HEAD_MARK: Final = b"spanmill"
_SEAL_MARK: Final = b"sealed\r\n"
_HEAD: Final = struct.Struct("<IQQII16s")
_SEAL: Final = struct.Struct("<QQII")
_SUM: Final = struct.Struct("<I")
_HEADS_AT: Final = (0, 2048)
_SEALS_AT: Final = (1024, 3072)
_WRITTEN: Final = 1

INDEX_STRIDE: Final = 512 * 1024
"""Bytes between two records whose places are kept, so that reading may begin in the middle."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a segment says of itself; `salt` begins the sums of its records' headers.

    Positions from `after` up to `first` were passed over on purpose.
    """

    first: int
    after: int
    salt: int
    journal_id: bytes
    synced: bool
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Seal:
    """Where a sealed segment's records end, and where its footer is."""

    end_at: int
    footer_at: int
    footer_bytes: int
    footer_sum: int


class SignalTotals(msgspec.Struct, array_like=True):
    """Sums over the records of one signal that have a payload."""

    records: int = 0
    items: int = 0
    bytes: int = 0


class Footer(msgspec.Struct):
    """What is known of a segment without reading it.

    `end` is one more than the last position. `arrivals` are the lowest and the highest arrival.
    `positions` and `places` are the index: every so often a position and where its record begins.
    `holes` are bytes in which a recovery found no intact record, and said so.
    `blocks` are those of a compressed segment: where each begins in the file, and the end.
    """

    end: int
    records: int = 0
    arrivals: tuple[int, int] = (0, 0)
    totals: dict[str, SignalTotals] = {}
    positions: list[int] = []
    places: list[int] = []
    holes: list[tuple[int, int]] = []
    blocks: list[int] = []

    def take(
        self,
        position: int,
        arrival_ns: int,
        *,
        signal: Signal,
        items: int,
        payload_bytes: int,
        at: int,
    ) -> None:
        """Count a record that begins at this place; its payload is 0 bytes for a duplicate."""
        if not self.positions or at - self.places[-1] >= INDEX_STRIDE:
            self.places.append(at)  # before the position, by which readers find it
            self.positions.append(position)
        lowest, highest = self.arrivals
        if not self.records:
            self.arrivals = (arrival_ns, arrival_ns)
        elif arrival_ns > highest:
            self.arrivals = (lowest, arrival_ns)
        elif arrival_ns < lowest:
            self.arrivals = (arrival_ns, highest)
        self.records += 1
        self.end = position + 1
        if payload_bytes:
            totals = self.totals.setdefault(signal.value, SignalTotals())
            totals.records += 1
            totals.items += items
            totals.bytes += payload_bytes


def encode_head(head: Head) -> bytes:
    """The first block of a segment that is not sealed."""
    body = _HEAD.pack(
        head.format,
        head.first,
        head.after,
        head.salt,
        0 if head.synced else _WRITTEN,
        head.journal_id,
    )
    written = _HEAD_MARK + _SUM.pack(crc32c(body)) + body
    block = bytearray(BLOCK)
    for at in _HEADS_AT:
        block[at : at + len(written)] = written
    return bytes(block)


def decode_head(block: bytes, first: int | None = None) -> Head | None:
    """What a segment's first block says, or None where that can't be read.

    Where its two copies differ, the one that has this first position counts.
    """
    heads: list[Head] = []
    for at in _HEADS_AT:
        body = _intact(block, at, _HEAD_MARK, _HEAD.size)
        if body is not None:
            version, position, after, salt, flags, journal_id = _HEAD.unpack(body)
            heads.append(Head(position, after, salt, journal_id, not flags & _WRITTEN, version))
    return next((head for head in heads if head.first == first), heads[0] if heads else None)


def encode_seal(seal: Seal, salt: int) -> list[tuple[int, bytes]]:
    """What to write into the first block of a segment that is sealed, and where."""
    body = _SEAL.pack(seal.end_at, seal.footer_at, seal.footer_bytes, seal.footer_sum)
    written = _SEAL_MARK + _SUM.pack(google_crc32c.extend(salt, body)) + body
    return [(at, written) for at in _SEALS_AT]


def decode_seal(block: bytes, salt: int) -> Seal | None:
    """The seal in a segment's first block, or None where it has none that can be read."""
    for at in _SEALS_AT:
        body = _intact(block, at, _SEAL_MARK, _SEAL.size, salt)
        if body is not None:
            return Seal(*_SEAL.unpack(body))
    return None


def unsalted_seals(block: bytes) -> list[tuple[Seal, int]]:
    """What may be a seal, where the salt isn't known, each with the salt that it would have."""
    found = []
    for at in _SEALS_AT:
        sum_at = at + len(_SEAL_MARK)
        body = block[sum_at + _SUM.size : sum_at + _SUM.size + _SEAL.size]
        if block.startswith(_SEAL_MARK, at) and len(body) == _SEAL.size:
            salt = begun_with(_SUM.unpack_from(block, sum_at)[0], body)
            found.append((Seal(*_SEAL.unpack(body)), salt))
    return found


def encode_footer(footer: Footer) -> bytes:
    """A footer as bytes."""
    return msgspec.msgpack.encode(footer)


def decode_footer(content: bytes, seal: Seal) -> Footer | None:
    """The footer that a seal speaks of, or None where these bytes aren't it."""
    if len(content) != seal.footer_bytes or crc32c(content) != seal.footer_sum:
        return None
    try:
        return msgspec.msgpack.decode(content, type=Footer)
    except msgspec.MsgspecError:
        return None


def _intact(block: bytes, at: int, mark: bytes, size: int, salt: int = 0) -> bytes | None:
    begin = at + len(mark)
    body_at = begin + _SUM.size
    body = block[body_at : body_at + size]
    if len(body) < size or not block.startswith(mark, at):
        return None
    return body if _SUM.unpack_from(block, begin)[0] == google_crc32c.extend(salt, body) else None
