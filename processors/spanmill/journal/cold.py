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


def compress_block(content: bytes) -> bytes:
    """A block as it stands in a cold segment."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(content)
