"""gzip, as fast as it is made here."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final, Protocol

_LEVEL: Final = 1  # the others take longer, or make more of it: see docs/scraping.md
_WINDOW: Final = 31  # zlib's largest, with gzip's header and trailer


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def gzip_chunks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks as one gzip member, as they come."""
    compressor = _compressor()
    for chunk in chunks:
        compressed = compressor.compress(chunk)
        if compressed:
            yield compressed
    yield compressor.flush()


def _compressor() -> _Compressor:
    # Its wheels are not there for every platform.
    if find_spec("isal") is None:
        return zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW)
    from isal import isal_zlib

    return isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _WINDOW)
