"""A file system in memory that forgets what was not synced, as a power cut would.

What was written is seen at once. After a power cut each sector has what was synced or any later
version of it, independently of all others; the same goes for each file's size and for each name
that was created, renamed or removed since its folder was synced (in the order of those that are
kept). An operation can be told to fail; a failing write leaves any part of it, and a sync that
fails forgets what it should have written, as Linux does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from spanmill.journal.files import Buffer

SECTOR: Final = 512


class PowerCut(BaseException):
    """The machine is gone; no handler of the journal may take it for an error."""


Dice = Callable[[int], int]
"""Chooses one of so many possibilities, from 0."""


@dataclass
class _Inode:
    is_folder: bool = False
    durable: dict[int, bytes] = field(default_factory=dict)
    durable_size: int = 0
    content: bytearray = field(default_factory=bytearray)
    pending: dict[int, list[bytes]] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)

    def touch(self, begin: int, end: int) -> None:
        """These bytes were changed: keep a version of each of their sectors."""
        for sector in range(begin // SECTOR, -(-end // SECTOR)):
            version = bytes(self.content[sector * SECTOR : (sector + 1) * SECTOR])
            self.pending.setdefault(sector, []).append(version.ljust(SECTOR, b"\0"))

    def resize(self, size: int) -> None:
        old = len(self.content)
        if size < old:
            del self.content[size:]
        else:
            self.content.extend(bytes(size - old))
        self.sizes.append(size)
        if size < old:
            self.touch(size, -(-size // SECTOR) * SECTOR)

    def settle(self, dice: Dice | None) -> None:
        """Make pending changes durable: all of them, or those that the dice choose."""
        for sector, versions in self.pending.items():
            kept = len(versions) if dice is None else dice(len(versions) + 1)
            if kept:
                self.durable[sector] = versions[kept - 1]
        if self.sizes:
            kept = len(self.sizes) if dice is None else dice(len(self.sizes) + 1)
            if kept:
                self.durable_size = self.sizes[kept - 1]
        self.pending = {}
        self.sizes = []

    def survivor(self) -> _Inode:
        content = bytearray(self.durable_size)
        for sector, version in self.durable.items():
            begin = sector * SECTOR
            part = version[: max(0, self.durable_size - begin)]
            content[begin : begin + len(part)] = part
        return _Inode(self.is_folder, dict(self.durable), self.durable_size, content)


_NameChange = tuple[Path | None, Path | None, _Inode | None]
"""The name that goes, the name that comes, and what it is a name of."""


class ModelledFiles:
    """`FileSystem`. `fails` is asked before every operation, with its number and name."""

    def __init__(self) -> None:
        self.fails: Callable[[int, str], OSError | None] = lambda number, name: None
        self.cut_at: int | None = None
        self.operations = 0
        self.dice: Dice = lambda choices: 0
        self._dead = False
        self._names: dict[Path, _Inode] = {}
        self._durable_names: dict[Path, _Inode] = {}
        self._changes: list[_NameChange] = []
        self._open: dict[int, _Inode] = {}
        self._next_file = 3
        self._locks: list[_Inode] = []

    @property
    def locked(self) -> bool:
        """Whether a process has locked something; `False` is set when that one is gone."""
        return bool(self._locks)

    @locked.setter
    def locked(self, now: bool) -> None:
        assert not now, "`lock` does that"
        self._locks = []

    # What the test does to it.

    def power_cut(self, dice: Dice) -> ModelledFiles:
        """The file system that is there once the machine is on again."""
        names = dict(self._durable_names)
        for change in self._changes:
            if dice(2):
                _change(names, change)
        inodes: dict[int, _Inode] = {}
        after = ModelledFiles()
        for path, inode in names.items():
            if not all(folder in names for folder in path.parents[:-1]):
                continue  # the folder is gone, and what was in it
            if id(inode) not in inodes:
                inode.settle(dice)
                inodes[id(inode)] = inode.survivor()
            after._names[path] = after._durable_names[path] = inodes[id(inode)]
        return after

    def killed(self) -> ModelledFiles:
        """The file system after the process alone was killed."""
        self._dead = False
        self._open = {}
        self.locked = False
        self.cut_at = None
        return self

    def flip(self, path: Path, at: int, bit: int = 0) -> None:
        """Damage a byte, on disk and in memory."""
        inode = self._names[path]
        inode.content[at] ^= 1 << bit
        inode.touch(at, at + 1)

    def content(self, path: Path) -> bytes:
        return bytes(self._names[path].content)

    # The journal's side.

    def open(self, path: Path, *, create: bool = False) -> int:
        self._operation("open")
        if path not in self._names:
            self._must_be_there(path if not create else path.parent)
            self._change((None, path, _Inode()))
        return self._opened(path)

    def open_to_read(self, path: Path) -> int:
        self._operation("open_to_read")
        self._must_be_there(path)
        return self._opened(path)

    def open_folder(self, path: Path) -> int:
        self._operation("open_folder")
        self._must_be_there(path)
        return self._opened(path)

    def is_at(self, file: int, path: Path) -> bool:
        self._operation("is_at")
        return self._names.get(path) is self._open[file]

    def close(self, file: int) -> None:
        if not self._dead:
            self._open.pop(file)

    def write(self, file: int, buffers: Sequence[Buffer], offset: int) -> None:
        content = b"".join(buffers)
        try:
            self._operation("write")
        except OSError:
            self._write(file, content[: self.dice(len(content) + 1)], offset)
            raise
        except PowerCut:
            self._write(file, content, offset)  # of which any sector may be kept
            raise
        self._write(file, content, offset)

    def read(self, file: int, size: int, offset: int) -> bytes:
        self._operation("read")
        return bytes(self._open[file].content[offset : offset + size])

    def sync(self, file: int) -> None:
        try:
            self._operation("sync")
        except OSError:
            self._open[file].settle(self.dice)
            raise
        self._open[file].settle(None)

    def allocate(self, file: int, size: int) -> None:
        self._operation("allocate")
        if size > len(self._open[file].content):
            self._open[file].resize(size)

    def truncate(self, file: int, size: int) -> None:
        self._operation("truncate")
        self._open[file].resize(size)

    def size(self, file: int) -> int:
        self._operation("size")
        return len(self._open[file].content)

    def rename(self, source: Path, target: Path) -> None:
        self._operation("rename")
        self._change((source, target, self._names[source]))

    def remove(self, path: Path) -> None:
        self._operation("remove")
        self._must_be_there(path)
        self._change((path, None, None))

    def sync_folder(self, path: Path) -> None:
        self._operation("sync_folder")
        self._must_be_there(path)
        mine = [change for change in self._changes if path in _folders(change)]
        self._changes = [change for change in self._changes if path not in _folders(change)]
        for change in mine:
            _change(self._durable_names, change)

    def make_folder(self, path: Path) -> bool:
        self._operation("make_folder")
        self._must_be_there(path.parent)
        if path in self._names:
            return False
        self._change((None, path, _Inode(is_folder=True)))
        return True

    def names(self, path: Path) -> list[str]:
        self._operation("names")
        self._must_be_there(path)
        return [name.name for name in self._names if name.parent == path]

    def lock(self, file: int) -> None:
        self._operation("lock")
        inode = self._open[file]
        if any(inode is locked for locked in self._locks):
            raise BlockingIOError(errno.EWOULDBLOCK, "locked")
        self._locks.append(inode)

    def _operation(self, name: str) -> None:
        if self._dead:
            raise PowerCut
        number = self.operations
        self.operations += 1
        if number == self.cut_at:
            self._dead = True
            raise PowerCut
        error = self.fails(number, name)
        if error is not None:
            raise error

    def _must_be_there(self, path: Path) -> None:
        if path not in self._names and path != path.parent:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))

    def _opened(self, path: Path) -> int:
        file = self._next_file
        self._next_file += 1
        self._open[file] = self._names[path]
        return file

    def _write(self, file: int, content: bytes, offset: int) -> None:
        if not content:
            return
        inode = self._open[file]
        end = offset + len(content)
        if end > len(inode.content):
            inode.resize(end)
        inode.content[offset:end] = content
        inode.touch(offset, end)

    def _change(self, change: _NameChange) -> None:
        _change(self._names, change)
        self._changes.append(change)


def _change(names: dict[Path, _Inode], change: _NameChange) -> None:
    gone, come, inode = change
    if gone is not None:
        names.pop(gone, None)
    if come is not None and inode is not None:
        names[come] = inode


def _folders(change: _NameChange) -> set[Path]:
    return {path.parent for path in change[:2] if path is not None}


def failing(code: int, numbers: Iterable[int]) -> Callable[[int, str], OSError | None]:
    """Operations with these numbers fail with this error."""
    chosen = set(numbers)
    return lambda number, name: OSError(code, os.strerror(code)) if number in chosen else None
