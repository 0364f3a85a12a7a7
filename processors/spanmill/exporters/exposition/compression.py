"""gzip, as fast as it is made here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from isal import isal_zlib

_LEVEL: Final = 1  # the others take longer, or make more of it: see docs/scraping.md
_WINDOW: Final = 31  # the largest, with gzip's header and trailer


def gzip_chunks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks as one gzip member, as they come."""
    compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _WINDOW)
    for chunk in chunks:
        compressed = compressor.compress(chunk)
        if compressed:
            yield compressed
    yield compressor.flush()
