"""Compressed segments: blocks of their own, so that reading may begin in the middle.

A cold segment has the same first block as before, whose seal points behind the blocks. Each block
is a frame of zstandard with a checksum, of COLD_BLOCK bytes of the segment as it was from BLOCK
on (the last one of what is left). Places in the footer's index are those of the segment as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import zstandard

from spanmill.journal.scan import Source
from spanmill.journal.segment_format import BLOCK

COLD_BLOCK: Final = 1 << 20
_LEVEL: Final = 3
_FRAME_MARK: Final = b"\x28\xb5\x2f\xfd"
_LONGEST_FRAME: Final = 2 * COLD_BLOCK


class ColdSource:
    """A compressed segment's bytes by the places that they had before.

    Memory: two blocks. A damaged block reads as zeros, which are no records.
    """

    def __init__(self, file: Source, blocks: Sequence[int]) -> None:
        self._file = file
        self._blocks = blocks
        self._inflate = zstandard.ZstdDecompressor()
        self._number = -1
        self._block = b""

    def read(self, size: int, at: int) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        parts = []
        while size > 0:
            number, begin = divmod(at - BLOCK, COLD_BLOCK)
            part = self._inflated(number)[begin : begin + size]
            if not part:
                break
            parts.append(part)
            size -= len(part)
            at += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _inflated(self, number: int) -> bytes:
        if number >= len(self._blocks) - 1:
            return b""
        if number != self._number:
            begin, end = self._blocks[number], self._blocks[number + 1]
            frame = self._file.read(end - begin, begin)
            try:
                block = self._inflate.decompress(frame, max_output_size=COLD_BLOCK)
            except zstandard.ZstdError:
                block = bytes(COLD_BLOCK)
            self._number, self._block = number, block
        return self._block


def find_blocks(file: Source, limit: int) -> tuple[list[int], int]:
    """Where the blocks are, up to `limit` of the file, and where the segment ended; by reading all.

    For a segment whose footer is damaged. Of a damaged block only the place is known.
    """
    blocks: list[int] = []
    at, last = BLOCK, 0
    while at < limit:
        found = _block_at(file, at, limit)
        if found is not None:
            size, last = found
            blocks.append(at)
            at += size
            continue
        following = _next_block(file, at + 1, limit)
        if following is None:
            break
        blocks.append(at)  # damaged: it reads as zeros
        at = following
    blocks.append(at)
    count = len(blocks) - 1
    return blocks, BLOCK + (count - 1) * COLD_BLOCK + last if count else BLOCK


def _block_at(file: Source, at: int, limit: int) -> tuple[int, int] | None:
    """The length of the block that begins here, compressed and not; None where none does."""
    content = file.read(min(_LONGEST_FRAME, limit - at), at)
    if not content.startswith(_FRAME_MARK):
        return None
    inflate = zstandard.ZstdDecompressor(max_window_size=_LONGEST_FRAME).decompressobj()
    try:
        block = inflate.decompress(content)
    except zstandard.ZstdError:
        return None
    if not inflate.eof or len(block) > COLD_BLOCK:
        return None
    return len(content) - len(inflate.unused_data), len(block)


def _next_block(file: Source, at: int, limit: int) -> int | None:
    while at < limit:
        content = file.read(min(COLD_BLOCK, limit - at), at)
        place = content.find(_FRAME_MARK)
        if place >= 0:
            if _block_at(file, at + place, limit) is not None:
                return at + place
            at += place + 1
        elif at + len(content) >= limit:
            break
        else:
            at += len(content) - len(_FRAME_MARK) + 1
    return None


def compress_block(content: bytes) -> bytes:
    """A block as it stands in a cold segment."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(content)
