"""The file operations of the journal: one small protocol, so that tests can lose and refuse."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

Buffer = bytes | bytearray | memoryview

_IOV_MAX = 1024  # buffers that one call takes (Linux)


class FileSystem(Protocol):
    """What the journal does with files; every method raises OSError as the system does.

    A file is an `int` between `open` and `close`. Names and contents survive a power cut only
    once they were synced, each by its own call.
    """

    def open(self, path: Path, *, create: bool = False) -> int:
        """Open for reading and writing; `create` makes an empty file where there is none."""
        ...

    def open_to_read(self, path: Path) -> int:
        """Open for reading alone."""
        ...

    def open_folder(self, path: Path) -> int:
        """Open a folder, to lock it and to know it again."""
        ...

    def is_at(self, file: int, path: Path) -> bool:
        """Whether a path still is the name of this open file or folder."""
        ...

    def close(self, file: int) -> None:
        """Close; nothing is synced by it."""
        ...

    def write(self, file: int, buffers: Sequence[Buffer], offset: int) -> None:
        """Write all the buffers, one behind the other, from an offset on.

        After an OSError any part of it may have been written.
        """
        ...

    def read(self, file: int, size: int, offset: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file."""
        ...

    def sync(self, file: int) -> None:
        """Make a file's contents and size durable (fdatasync).

        After an OSError it isn't known what is durable, and a second call may hide that.
        """
        ...

    def allocate(self, file: int, size: int) -> None:
        """Make the file at least this long, with room on disk for all of it."""
        ...

    def truncate(self, file: int, size: int) -> None:
        """Make the file this long."""
        ...

    def size(self, file: int) -> int:
        """The length of an open file."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name in one step, replacing what has that name."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file."""
        ...

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable: those created, renamed and removed."""
        ...

    def make_folder(self, path: Path) -> bool:
        """Make a folder in one that is there; False where it is there already."""
        ...

    def names(self, path: Path) -> list[str]:
        """The names in a folder, in any order."""
        ...

    def lock(self, file: int) -> None:
        """Take a file or folder until it is closed; BlockingIOError where another has it."""
        ...


class RealFiles:
    """The system's own files."""

    def open(self, path: Path, *, create: bool = False) -> int:
        """Open for reading and writing; `create` makes an empty file where there is none."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)

    def open_to_read(self, path: Path) -> int:
        """Open for reading alone."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def open_folder(self, path: Path) -> int:
        """Open a folder, to lock it and to know it again."""
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def is_at(self, file: int, path: Path) -> bool:
        """Whether a path still is the name of this open file or folder."""
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return os.path.samestat(found, os.fstat(file))

    def close(self, file: int) -> None:
        """Close; nothing is synced by it."""
        os.close(file)

    def write(self, file: int, buffers: Sequence[Buffer], offset: int) -> None:
        """Write all the buffers, one behind the other, from an offset on."""
        for first in range(0, len(buffers), _IOV_MAX):
            part = buffers[first : first + _IOV_MAX]
            wanted = sum(map(len, part))
            written = os.pwritev(file, part, offset)
            if written < wanted:  # a limit or the disk's end inside: what is left says which
                _write_rest(file, b"".join(part)[written:], offset + written)
            offset += wanted

    def read(self, file: int, size: int, offset: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file."""
        content = os.pread(file, size, offset)
        while 0 < len(content) < size:
            more = os.pread(file, size - len(content), offset + len(content))
            if not more:
                break
            content += more
        return content

    def sync(self, file: int) -> None:
        """Make a file's contents and size durable (fdatasync)."""
        os.fdatasync(file)

    def allocate(self, file: int, size: int) -> None:
        """Make the file at least this long, with room on disk for all of it."""
        os.posix_fallocate(file, 0, size)

    def truncate(self, file: int, size: int) -> None:
        """Make the file this long."""
        os.ftruncate(file, size)

    def size(self, file: int) -> int:
        """The length of an open file."""
        return os.fstat(file).st_size

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name in one step, replacing what has that name."""
        os.rename(source, target)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        os.unlink(path)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable: those created, renamed and removed."""
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def make_folder(self, path: Path) -> bool:
        """Make a folder in one that is there; False where it is there already."""
        try:
            os.mkdir(path, mode=0o700)
        except FileExistsError:
            if not path.is_dir():
                raise
            return False
        return True

    def names(self, path: Path) -> list[str]:
        """The names in a folder, in any order."""
        return os.listdir(path)

    def lock(self, file: int) -> None:
        """Take a file or folder until it is closed; BlockingIOError where another has it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def make_folders(files: FileSystem, path: Path) -> bool:
    """Make a folder and those above it, so that a power cut takes none; whether one was made."""
    try:
        made = files.make_folder(path)
    except FileNotFoundError:
        if path.parent == path:
            raise
        make_folders(files, path.parent)
        made = files.make_folder(path)
    if made:
        files.sync_folder(path.parent)
    return made


def _write_rest(file: int, rest: bytes, offset: int) -> None:
    while rest:
        written = os.pwrite(file, rest, offset)
        rest = rest[written:]
        offset += written
