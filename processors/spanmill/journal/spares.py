"""Files that are no segments yet: the next ones ahead of need, and those that can't be removed."""

from __future__ import annotations

import logging
import threading
from collections import deque
from pathlib import Path
from typing import Final

from spanmill.journal.files import FileSystem

_log = logging.getLogger(__name__)

_SPARES: Final = 8
SPARE: Final = "spare-"
"""What the names of files begin with that are no segments yet."""

Spare = tuple[Path, int, int]
"""A path, its open file and its size."""


class Spares:
    """At most 8 files that are ready to be segments; any thread may call.

    A file that can't be removed counts in `bytes`, and is tried again by `tidy`; a start removes
    those that were left over.
    """

    def __init__(self, files: FileSystem, folder: Path, segment_bytes: int) -> None:
        self._files = files
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._ready: deque[Spare] = deque()
        self._left: deque[tuple[Path, int]] = deque()
        self._number = 0

    @property
    def bytes(self) -> int:
        """What these files take."""
        with self._lock:
            return sum(size for _, _, size in self._ready) + sum(size for _, size in self._left)

    @property
    def is_ready(self) -> bool:
        """Whether there is one."""
        return bool(self._ready)

    def take(self, size: int) -> Spare | None:
        """One that has so many bytes at least; None where the next one hasn't."""
        with self._lock:
            fits = bool(self._ready) and self._ready[0][2] >= size
            return self._ready.popleft() if fits else None

    def add(self, spare: Spare) -> None:
        """Keep one for later."""
        with self._lock:
            self._ready.append(spare)

    def make(self, size: int) -> Spare:
        """A fresh one, with room on disk for all of it; raises OSError, and nothing is left."""
        path = self._path()
        file = self._files.open(path, create=True)
        try:
            self._files.allocate(file, size)
            self._files.sync(file)
        except OSError:
            self.discard(path, size, file)
            raise
        return path, file, size

    def use_again(self, path: Path) -> bool:
        """Take a segment's file that nobody needs; False where it is to be removed instead.

        Writing over a file costs half of what writing into a fresh one does (docs/durability.md).
        """
        with self._lock:
            if len(self._ready) >= _SPARES:
                return False
        target = self._path()
        try:
            self._files.rename(path, target)
        except OSError:
            return False
        file: int | None = None
        size = self._segment_bytes
        try:
            # Nothing is written over what may still have its old name after a power cut.
            self._files.sync_folder(target.parent)
            file = self._files.open(target)
            size = self._files.size(file)
        except OSError as error:
            _log.debug("a segment's file can't be used again", extra={"error": str(error)})
            self.discard(target, size, file)
            return True
        if size < self._segment_bytes:
            self.discard(target, size, file)
        else:
            self.add((target, file, size))
        return True

    def discard(self, path: Path, size: int, file: int | None = None) -> None:
        """Close and remove a file; where that fails now it is done later."""
        if file is not None:
            self._files.close(file)
        try:
            self._files.remove(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            _log.debug("a file can't be removed yet", extra={"error": str(error)})
            with self._lock:
                self._left.append((path, size))

    def tidy(self) -> None:
        """Try once more to remove what could not be removed."""
        with self._lock:
            left, self._left = self._left, deque()
        for path, size in left:
            self.discard(path, size)

    def drop(self) -> None:
        """Give the room of all of them back."""
        self.tidy()
        while True:
            with self._lock:
                if not self._ready:
                    return
                path, file, size = self._ready.popleft()
            self.discard(path, size, file)

    def _path(self) -> Path:
        with self._lock:
            self._number += 1
            return self._folder / f"{SPARE}{self._number}"
