"""A cursor's file: each entry says by itself where the cursor stands; the last one counts."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Final

import google_crc32c
import msgspec

from spanmill.journal.cursor_ranges import Range
from spanmill.journal.files import FileSystem

LONG_BYTES: Final = 256 << 10
"""A file whose entries are longer than this is to be rewritten."""
ROOM_BYTES: Final = 2 * LONG_BYTES
"""What a file takes from the start: it can be written to for a while when the disk is full."""

_READ_BYTES: Final = 16 << 20  # of the file's end: many times what lies between two rewritings
_UNUSED: Final = b"\0"
_MAGIC: Final = b"\xc5cur"
_HEAD: Final = struct.Struct("<4sII")  # magic, CRC32C of length and body, length of the body
_LENGTH: Final = struct.Struct("<I")


class CursorEntry(msgspec.Struct, array_like=True, frozen=True):
    """Where a cursor stands.

    Everything below `next` was answered for, except `unanswered`. `outcomes` counts items since
    `created_ns` (nanoseconds since the Unix epoch).
    """

    next: int
    unanswered: list[Range]
    outcomes: dict[str, int]
    created_ns: int


class CursorLog:
    """Appends entries to a file, and finds the last one that is whole.

    An entry that was written but not synced survives the process, not the machine. The rest of
    the file is zeros; once its entries are long a new one takes its place. Not for several threads
    at once, but `sync` and `prepare`, which may run beside `append`. Methods raise OSError as the
    system does; what a failed `append` left behind is overwritten by the next one.
    """

    def __init__(self, files: FileSystem, path: Path) -> None:
        self._files = files
        self.path: Final = path
        self._file: int | None = None
        self._end = 0
        self._prepared_end = 0

    @property
    def is_long(self) -> bool:
        """Whether the file is to be rewritten."""
        return self._end > LONG_BYTES

    def append(self, entry: CursorEntry) -> None:
        """Write where the cursor stands now."""
        if self._file is None:
            self._file = self._files.open(self.path)
        body = encode_entry(entry)
        self._files.write(self._file, [body], self._end)
        self._end += len(body)

    def sync(self) -> None:
        """Make durable what was appended."""
        if self._file is not None:
            self._files.sync(self._file)

    def prepare(self, entry: CursorEntry) -> int:
        """A new file beside the old one, with one entry, synced; for `switch`."""
        file = self._files.open(self._prepared, create=True)
        try:
            self._files.truncate(file, 0)
            self._files.allocate(file, ROOM_BYTES)
            body = encode_entry(entry)
            self._files.write(file, [body], 0)
            self._files.sync(file)
        except OSError:
            with contextlib.suppress(OSError):  # what it took may be what the journal needs
                self._files.truncate(file, 0)
            self._files.close(file)
            raise
        self._prepared_end = len(body)
        return file

    def switch(self, prepared: int, entry: CursorEntry) -> None:
        """Let the prepared file, with one more entry, take the old one's place.

        It does so for good once `sync` and `sync_name` have come back.
        """
        try:
            body = encode_entry(entry)
            self._files.write(prepared, [body], self._prepared_end)
            self._files.rename(self._prepared, self.path)
        except OSError:
            self._files.close(prepared)
            raise
        self.close()
        self._file, self._end = prepared, self._prepared_end + len(body)

    def sync_name(self) -> None:
        """Make durable which file has the name."""
        self._files.sync_folder(self.path.parent)

    def close(self) -> None:
        """Let go of the file; a later `append` opens it again."""
        if self._file is not None:
            file, self._file = self._file, None
            with contextlib.suppress(OSError):  # nothing is lost by it: what counts is synced
                self._files.close(file)

    @property
    def _prepared(self) -> Path:
        return self.path.with_name(f"{self.path.name}.new")


def read_last_entry(files: FileSystem, path: Path) -> tuple[CursorEntry | None, bool]:
    """The last whole entry of a file, and whether something behind it is damaged.

    None where no entry is whole. Raises OSError, FileNotFoundError among them.
    """
    file = files.open_to_read(path)
    try:
        size = files.size(file)
        start = max(0, size - _READ_BYTES)
        content = files.read(file, size - start, start)
    finally:
        files.close(file)
    at = len(content)
    while (at := content.rfind(_MAGIC, 0, at + len(_MAGIC) - 1)) >= 0:
        entry, end = _entry_at(content, at)
        if entry is not None:
            return entry, bool(content[end:].strip(_UNUSED))
    return None, bool(content.strip(_UNUSED))


def encode_entry(entry: CursorEntry) -> bytes:
    """An entry as it is in the file."""
    body = msgspec.msgpack.encode(entry)
    length = _LENGTH.pack(len(body))
    return _HEAD.pack(_MAGIC, google_crc32c.value(length + body), len(body)) + body


def _entry_at(content: bytes, at: int) -> tuple[CursorEntry | None, int]:
    begin = at + _HEAD.size
    if begin > len(content):
        return None, begin
    _, crc, length = _HEAD.unpack_from(content, at)
    body = content[begin : begin + length]
    if len(body) < length or google_crc32c.value(_LENGTH.pack(length) + body) != crc:
        return None, begin
    try:
        return msgspec.msgpack.decode(body, type=CursorEntry), begin + length
    except msgspec.DecodeError:
        return None, begin
