"""What no destination will take, kept for an operator: who refused it, when and why.

A file is a row of letters. Each is MAGIC, then little-endian u32 CRC32C of what follows, u32
length of the head, u32 length of the payload; then the head (MessagePack: signal, destination,
reason, time, items) and the payload, a serialised OTLP request. A file's name is the time of its
first letter, in ns since the Unix epoch; it is never earlier than that of the file before.
"""

from __future__ import annotations

import contextlib
import logging
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import google_crc32c
import msgspec

from spanmill.clock import Clock
from spanmill.journal.files import FileSystem, make_folders
from spanmill.journal.log import Signal

_log = logging.getLogger(__name__)

SUFFIX: Final = ".letters"
MAGIC: Final = b"\xf5deadltr"
_LENGTHS: Final = struct.Struct("<II")
_SUM: Final = struct.Struct("<I")
_HEADER_BYTES: Final = len(MAGIC) + _SUM.size + _LENGTHS.size
_FILES: Final = 8  # of which the whole consists: the oldest eighth goes at once
_LONGEST_REASON: Final = 2_000
_WINDOW: Final = 64 * 1024


class _Head(msgspec.Struct, array_like=True, frozen=True):
    signal: str
    destination: str
    reason: str
    time_ns: int
    items: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A request that was given up, as it would have been sent."""

    signal: Signal
    destination: str
    reason: str
    time_ns: int
    items: int
    payload: bytes


class KeepsLetters(Protocol):
    """Where requests go that are given up."""

    def add(self, letter: DeadLetter) -> None:
        """Keep one; never raises."""
        ...


class DeadLetters:
    """A folder of dead letters, bounded in bytes and in age: the oldest file goes first.

    A letter is synced when `add` returns. Where that fails a line says so, and the letter is
    dropped: whoever gave it up goes on. Nothing is touched before the first `add`. For any number
    of threads.
    """

    def __init__(
        self, files: FileSystem, folder: Path, clock: Clock, *, max_bytes: int, max_age: float
    ) -> None:
        """`max_age` is in seconds."""
        self._files = files
        self._folder: Final = folder
        self._clock = clock
        self._max_bytes = max_bytes
        self._max_age_ns = round(max_age * 1e9)
        self._lock = threading.Lock()
        self._sizes: dict[int, int] = {}  # of each file, the oldest first
        self._is_open = False
        self._failed = False
        self.dropped = 0
        """Letters that had to go, or could not be written, since the process began."""

    @property
    def taken(self) -> int:
        """Bytes of the files; 0 before the first `add`."""
        return sum(self._sizes.values())

    def _open(self) -> None:
        """Find what is there; OSError where that can't be read."""
        if self._is_open:
            return
        make_folders(self._files, self._folder)
        for path in letter_files(self._files, self._folder):
            file = self._files.open_to_read(path)
            try:
                self._sizes[int(path.stem)] = self._files.size(file)
            finally:
                self._files.close(file)
        self._is_open = True

    def add(self, letter: DeadLetter) -> None:
        """Keep one; never raises."""
        content = encode_letter(letter)
        with self._lock:
            try:
                self._open()
                self._let_go(len(content))
                if len(content) > self._max_bytes:
                    self.dropped += 1
                    return
                self._write(letter.time_ns, content)
            except OSError as error:
                self.dropped += 1
                if not self._failed:
                    _log.error(
                        "dead letters can't be kept, they are dropped",
                        extra={"folder": str(self._folder), "reason": str(error)},
                    )
                self._failed = True
            else:
                self._failed = False

    def _write(self, time_ns: int, content: bytes) -> None:
        newest = next(reversed(self._sizes), -1)
        is_new = self._sizes.get(newest, self._max_bytes) + len(content) > self._max_bytes // _FILES
        if is_new:
            newest = max(time_ns, newest + 1)
        offset = self._sizes.get(newest, 0)
        file = self._files.open(self._path(newest), create=is_new)
        try:
            self._files.write(file, [content], offset)
            self._files.sync(file)
        finally:
            self._files.close(file)
        if is_new:
            self._files.sync_folder(self._folder)
        self._sizes[newest] = offset + len(content)

    def _let_go(self, size: int) -> None:
        """Make room for so many bytes, and forget what is too old."""
        oldest_kept = self._clock.time_ns() - self._max_age_ns
        while self._sizes:
            firsts = list(self._sizes)
            oldest = firsts[0]
            is_old = len(firsts) > 1 and firsts[1] < oldest_kept
            if not is_old and self.taken + size <= self._max_bytes:
                return
            path = self._path(oldest)
            letters = sum(1 for _ in read_letters(self._files, path))
            self._files.remove(path)
            del self._sizes[oldest]
            self.dropped += letters
            _log.warning(
                "the oldest dead letters went",
                extra={"letters": letters, "reason": "max_age" if is_old else "max_bytes"},
            )

    def _path(self, first: int) -> Path:
        return self._folder / f"{first:020}{SUFFIX}"


def letter_files(files: FileSystem, folder: Path) -> list[Path]:
    """The files of dead letters, the oldest first; none where there is no folder."""
    with contextlib.suppress(FileNotFoundError):
        names = (name for name in files.names(folder) if name.endswith(SUFFIX))
        return [folder / name for name in sorted(names) if name[: -len(SUFFIX)].isdecimal()]
    return []


def read_letters(files: FileSystem, path: Path) -> Iterator[DeadLetter]:
    """The letters of a file in order; what is damaged is passed over. OSError as the system."""
    file = files.open_to_read(path)
    try:
        at, size = 0, files.size(file)
        while at < size:
            letter, end = _letter_at(files, file, at)
            if letter is not None:
                yield letter
                at = end
            else:
                at = _next_magic(files, file, at + 1, size)
    finally:
        files.close(file)


def encode_letter(letter: DeadLetter) -> bytes:
    """A letter as it is in a file."""
    reason = letter.reason[:_LONGEST_REASON]
    head = msgspec.msgpack.encode(
        _Head(letter.signal.value, letter.destination, reason, letter.time_ns, letter.items)
    )
    body = _LENGTHS.pack(len(head), len(letter.payload)) + head + letter.payload
    return MAGIC + _SUM.pack(google_crc32c.value(body)) + body


def _letter_at(files: FileSystem, file: int, at: int) -> tuple[DeadLetter | None, int]:
    header = files.read(file, _HEADER_BYTES, at)
    if len(header) < _HEADER_BYTES or not header.startswith(MAGIC):
        return None, at
    (crc,) = _SUM.unpack_from(header, len(MAGIC))
    lengths = header[len(MAGIC) + _SUM.size :]
    head_bytes, payload_bytes = _LENGTHS.unpack(lengths)
    total = head_bytes + payload_bytes
    begin = at + _HEADER_BYTES
    if begin + total > files.size(file):
        return None, at
    body = files.read(file, total, begin)
    if len(body) < total or google_crc32c.extend(google_crc32c.value(lengths), body) != crc:
        return None, at
    try:
        head = msgspec.msgpack.decode(body[:head_bytes], type=_Head)
        signal = Signal(head.signal)
    except (msgspec.DecodeError, ValueError):
        return None, at
    payload = body[head_bytes:]
    letter = DeadLetter(signal, head.destination, head.reason, head.time_ns, head.items, payload)
    return letter, begin + total


def _next_magic(files: FileSystem, file: int, at: int, size: int) -> int:
    while at < size:
        window = files.read(file, _WINDOW, at)
        found = window.find(MAGIC)
        if found >= 0:
            return at + found
        at += max(1, len(window) - len(MAGIC) + 1)
    return size
