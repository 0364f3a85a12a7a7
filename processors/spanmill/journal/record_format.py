"""A record as it stands in a segment: header, meta, payload, padding.

The header is HEADER bytes, little-endian; everything begins at a multiple of ALIGNMENT:

    0  8s  MAGIC, the mark to find the next record by where one is damaged
    8  u32 CRC32C of what follows in the header and of the meta, begun with the segment's salt
   12  u32 CRC32C of the payload
   16  u32 length of the payload
   20  u16 length of the meta
   22  u8  signal
   23  u8  flags: 1 duplicate, 2 the key is there
   24  u64 position
   32  i64 arrival, nanoseconds since the Unix epoch
   40  u64 durable: everything below this position was synced when this was written
   48  u64 items
   56  16s key

The meta is MessagePack: an array of the source and the mapping of rejected items. The salt makes
records of a file's former use, and those that a payload pretends to have, fail the first sum.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import google_crc32c
import msgspec

from spanmill.journal.log import KEY_BYTES, Entry, Signal
from spanmill.journal.stored import StoredRecord

MAGIC: Final = b"\xf5sm\x1arec\n"
ALIGNMENT: Final = 8
_FIXED: Final = struct.Struct("<IIHBBQqQQ16s")
_SUM: Final = struct.Struct("<I")
HEADER: Final = len(MAGIC) + _SUM.size + _FIXED.size
MAX_META: Final = 0xFFFF

_DUPLICATE: Final = 1
_HAS_KEY: Final = 2
_SIGNALS: Final = (Signal.TRACES, Signal.METRICS, Signal.TICK)
_CODES: Final = {signal: code for code, signal in enumerate(_SIGNALS)}
_LONGEST_SOURCE: Final = 1000
_MetaDecoder: Final = msgspec.msgpack.Decoder(tuple[str, dict[str, int]])
_meta: Final = msgspec.msgpack.Encoder().encode

crc32c: Final = google_crc32c.value
_ONES: Final = 0xFFFFFFFF
_CRC_TABLE: Final = tuple(
    google_crc32c.extend(byte ^ _ONES, b"\0") ^ _ONES for byte in range(256)
)  # one step of the sum, by the lowest byte
_CRC_INDEX: Final = {entry >> 24: index for index, entry in enumerate(_CRC_TABLE)}


@dataclass(frozen=True, slots=True)
class Header:
    """What a record's header and meta say; `durable` and the lengths are the log's own."""

    position: int
    arrival_ns: int
    signal: Signal
    source: str
    items: int
    rejected: dict[str, int]
    key: bytes
    duplicate: bool
    durable: int
    meta_bytes: int
    payload_bytes: int
    payload_sum: int

    @property
    def payload_at(self) -> int:
        """Where the payload begins, from the record's beginning."""
        return HEADER + self.meta_bytes

    @property
    def length(self) -> int:
        """Bytes that the record takes, with its padding."""
        return padded(self.payload_at + self.payload_bytes)

    def stored(self, payload: bytes | None) -> StoredRecord:
        """The record for those who read it."""
        return StoredRecord(
            self.position,
            self.arrival_ns,
            self.signal,
            self.source,
            self.items,
            self.rejected,
            self.key,
            self.duplicate,
            self.payload_bytes,
            payload,
        )


def salt_of(content: bytes) -> int | None:
    """The salt with which the header at the beginning of this has its sum, whatever that is.

    None where there is no mark or not all of it.
    """
    if len(content) < HEADER or not content.startswith(MAGIC):
        return None
    begin = len(MAGIC)
    end = HEADER + _FIXED.unpack_from(content, begin + _SUM.size)[2]
    if len(content) < end:
        return None
    return begun_with(_SUM.unpack_from(content, begin)[0], content[begin + _SUM.size : end])


def begun_with(total: int, content: bytes) -> int:
    """What a CRC32C of this content began with, where it came to this: `extend` backwards."""
    state = total ^ _ONES
    for byte in reversed(content):
        index = _CRC_INDEX[state >> 24]
        state = ((state ^ _CRC_TABLE[index]) & 0xFFFFFF) << 8 | (index ^ byte)
    return state ^ _ONES


def padded(length: int) -> int:
    """The next multiple of ALIGNMENT."""
    return -(-length // ALIGNMENT) * ALIGNMENT


_PADDING: Final = tuple(bytes(n) for n in range(ALIGNMENT))


class Prepared(NamedTuple):
    """What of an entry is known before its turn; `synced`: somebody waits until it is durable."""

    entry: Entry[Any]
    meta: bytes
    payload_sum: int
    length: int
    synced: bool


def prepare(entry: Entry[Any]) -> Prepared:
    """What can be done with an entry before it has a position, by whoever submits it."""
    meta = _meta((entry.source[:_LONGEST_SOURCE], entry.rejected))
    assert len(meta) <= MAX_META, "reasons are few and short"
    payload = entry.payload
    length = padded(HEADER + len(meta) + len(payload))
    # Nobody waits for ticks and duplicates.
    synced = entry.signal is not Signal.TICK and not entry.duplicate
    return Prepared(entry, meta, crc32c(payload), length, synced)


def encode(
    prepared: Prepared, position: int, arrival_ns: int, durable: int, salt: int
) -> list[bytes]:
    """A record as buffers to be written one behind the other."""
    entry, meta, payload_sum, _, _ = prepared
    payload = entry.payload
    key = entry.key
    fixed = _FIXED.pack(
        payload_sum,
        len(payload),
        len(meta),
        _CODES[entry.signal],
        (_DUPLICATE if entry.duplicate else 0) | (_HAS_KEY if key else 0),
        position,
        arrival_ns,
        durable,
        entry.items,
        key,
    )
    header_sum = google_crc32c.extend(salt, fixed + meta)
    head = MAGIC + _SUM.pack(header_sum) + fixed + meta
    padding = -(len(head) + len(payload)) % ALIGNMENT
    return [head, payload, _PADDING[padding]] if padding else [head, payload]


def decode_header(content: bytes, at: int, salt: int) -> Header | None:
    """The header and meta that begin here, or None where there is no whole and intact one."""
    begin = at + len(MAGIC)
    fixed_at = begin + _SUM.size
    meta_at = at + HEADER
    if len(content) < meta_at or not content.startswith(MAGIC, at):
        return None
    payload_sum, payload_bytes, meta_bytes, code, flags, position, arrival, durable, items, key = (
        _FIXED.unpack_from(content, fixed_at)
    )
    end = meta_at + meta_bytes
    if len(content) < end:
        return None
    (header_sum,) = _SUM.unpack_from(content, begin)
    if google_crc32c.extend(salt, content[fixed_at:end]) != header_sum or code >= len(_SIGNALS):
        return None
    try:
        source, rejected = _MetaDecoder.decode(content[meta_at:end])
    except msgspec.MsgspecError:
        return None
    return Header(
        position,
        arrival,
        _SIGNALS[code],
        source,
        items,
        rejected,
        key if flags & _HAS_KEY else b"",
        bool(flags & _DUPLICATE),
        durable,
        meta_bytes,
        payload_bytes,
        payload_sum,
    )


assert struct.calcsize("<16s") == KEY_BYTES, "the key's place in the header"
assert HEADER % ALIGNMENT == 0
