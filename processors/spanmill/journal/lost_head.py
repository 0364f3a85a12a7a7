"""A segment whose first block is damaged in both copies: its salt is found from its records.

CRC32C can be run backwards: a sum and the bytes under it give what it began with, which is the
salt. Any bytes give some salt, so only two places are believed, which nobody outside can fill:
the seal, where the footer that it names is intact, and the first record, where its position is
the segment's and its payload has the sum that the header says.
"""

from __future__ import annotations

from typing import Final

from spanmill.journal.record_format import HEADER, MAGIC, MAX_META, crc32c, decode_header, salt_of
from spanmill.journal.scan import Source
from spanmill.journal.segment_format import BLOCK, Head, decode_footer, unsalted_seals

_AT_ONCE: Final = 1 << 20


def find_head(
    file: Source, block: bytes, records: Source, first: int, journal_id: bytes
) -> Head | None:
    """The head that a segment must have had, or None where that can't be known.

    `records` has the segment's bytes as they were before it was compressed.
    """
    salt = _salt_of_seal(file, block, first)
    if salt is None:
        salt = _salt_of_first_record(records, first)
    return None if salt is None else Head(first, first, salt, journal_id, synced=True)


def holds_records(file: Source, size: int) -> bool:
    """Whether anything in a file looks like a record's beginning."""
    overlap = len(MAGIC) - 1
    return any(
        MAGIC in file.read(min(_AT_ONCE + overlap, size - at), at)
        for at in range(BLOCK, size, _AT_ONCE)
    )


def _salt_of_seal(file: Source, block: bytes, first: int) -> int | None:
    for seal, salt in unsalted_seals(block):
        footer = decode_footer(file.read(seal.footer_bytes, seal.footer_at), seal)
        if footer is not None and footer.positions and footer.positions[0] == first:
            return salt
    return None


def _salt_of_first_record(records: Source, first: int) -> int | None:
    content = records.read(HEADER + MAX_META, BLOCK)
    salt = salt_of(content)
    header = None if salt is None else decode_header(content, 0, salt)
    if header is None or header.position != first:
        return None
    payload = records.read(header.payload_bytes, BLOCK + header.payload_at)
    return salt if crc32c(payload) == header.payload_sum else None
