"""One segment: a file of the journal that begins at a position."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from spanmill.journal.cold import ColdSource
from spanmill.journal.files import FileSystem
from spanmill.journal.scan import Damage, Found, Source, scan
from spanmill.journal.segment_format import BLOCK, Footer, Head

SUFFIX: Final = ".seg"
COLD_SUFFIX: Final = ".seg.zst"


@dataclass(eq=False, slots=True)
class Segment:
    """A segment as the journal knows it.

    `footer` covers what is committed, `end_at` is where that ends, `size` what the file takes on
    disk. `readers` are those who hold the file open: meanwhile it isn't used again.
    """

    path: Path
    head: Head
    footer: Footer
    end_at: int = BLOCK
    size: int = 0
    sealed: bool = False
    readers: int = 0
    removed: bool = field(default=False, repr=False)

    @property
    def first(self) -> int:
        """The position at which it begins."""
        return self.head.first

    @property
    def end(self) -> int:
        """One more than the highest position in it; `first` where there is none."""
        return self.footer.end

    @property
    def cold(self) -> bool:
        """Whether it is compressed."""
        return self.path.name.endswith(COLD_SUFFIX)

    def place(self, position: int) -> int:
        """Where to begin to look for a position: at or before its record."""
        at = bisect_right(self.footer.positions, position) - 1
        return self.footer.places[at] if at >= 0 else BLOCK


class FileSource:
    """An open segment's bytes as they are in the file."""

    def __init__(self, files: FileSystem, file: int) -> None:
        self._files = files
        self._file = file

    def read(self, size: int, at: int) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        return self._files.read(self._file, size, at)


def read_segment(
    files: FileSystem, segment: Segment, position: int, *, payloads: bool
) -> Iterator[Found | Damage]:
    """What is in a segment from a position on, up to what is committed now."""
    end_at = segment.end_at
    file = files.open_to_read(segment.path)
    try:
        source: Source = FileSource(files, file)
        if segment.cold:
            source = ColdSource(source, segment.footer.blocks)
        place = segment.place(position)
        holes = dict(segment.footer.holes)
        read = scan(
            source, segment.head.salt, place, end_at, payloads=payloads, holes=holes, full=True
        )
        for found in read:
            if not isinstance(found, Found) or found.header.position >= position:
                yield found
    finally:
        files.close(file)


def segment_name(first: int) -> str:
    """The name of the segment that begins at a position."""
    return f"{first:020d}{SUFFIX}"


def first_of(name: str) -> int | None:
    """The position in a segment's name, or None where it is no segment's name."""
    digits = name.removesuffix(COLD_SUFFIX if name.endswith(COLD_SUFFIX) else SUFFIX)
    if digits == name or len(digits) != 20 or not digits.isdecimal():
        return None
    return int(digits)
