"""What is made of files that an operator or an orchestrator replaces while the process runs."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

from spanmill.clock import Clock
from spanmill.errors import StartError

_log = logging.getLogger(__name__)

_CHECK_SECONDS: Final = 1.0
_MAX_FILE_BYTES: Final = 1 << 20

T = TypeVar("T")
Contents = Sequence[bytes]


def read_files(files: Sequence[Path], where: str) -> list[bytes]:
    """The contents of a few small files (1 MiB each). StartError names the one that can't be."""
    contents = []
    for path in files:
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_FILE_BYTES + 1)
        except OSError as error:
            raise StartError(f"{where}: can't read {path}: {error.strerror or error}") from None
        if len(content) > _MAX_FILE_BYTES:
            raise StartError(f"{where}: {path} is larger than {_MAX_FILE_BYTES >> 20} MiB")
        contents.append(content)
    return contents


class Reloading(Generic[T]):
    """A value made of files, made again when they change; what can't be used leaves the old one.

    The files are read again at most once a second, and only when somebody asks; their contents
    are compared, since an orchestrator swaps links and a copy keeps old times. What can't be used
    is logged once, and only when it still stands a second later: a certificate and its key are
    two files, and one is replaced before the other. `make` raises StartError; no content is
    logged. `where` is the configuration's key. Safe to use from many threads.
    """

    def __init__(
        self, files: Sequence[Path], make: Callable[[Contents], T], clock: Clock, where: str
    ) -> None:
        self._files = tuple(files)
        self._make = make
        self._clock = clock
        self._where = where
        contents = read_files(self._files, where)
        self._value = make(contents)
        self._known = _digest(contents)
        self._failed: bytes | None = None
        self._reported: bytes | None = None
        self._checked = clock.monotonic()
        self._lock = threading.Lock()

    def current(self) -> T:
        """The value as the files have it, or as they last had it in a usable form."""
        if self._clock.monotonic() - self._checked < _CHECK_SECONDS:
            return self._value
        if self._lock.acquire(blocking=False):  # else another thread is looking right now
            try:
                self._check()
            finally:
                self._lock.release()
        return self._value

    def _check(self) -> None:
        self._checked = self._clock.monotonic()
        try:
            contents = read_files(self._files, self._where)
            digest = _digest(contents)
            if digest == self._known:
                self._failed = self._reported = None
                return
            if digest == self._reported:
                return
            value = self._make(contents)
        except StartError as error:
            self._note(str(error))
            return
        self._value, self._known = value, digest
        self._failed = self._reported = None
        _log.info("read again", extra={"key": self._where})

    def _note(self, reason: str) -> None:
        try:
            failed = _digest(read_files(self._files, self._where))
        except StartError as error:
            failed = str(error).encode()
        if failed == self._failed and failed != self._reported:
            self._reported = failed
            _log.error(
                "the changed files can't be used, the old ones stay in use",
                extra={"key": self._where, "reason": reason},
            )
        self._failed = failed


def _digest(contents: Contents) -> bytes:
    """Of contents that may be secret: nothing needs to keep these."""
    each = b"".join(hashlib.sha256(content).digest() for content in contents)
    return hashlib.sha256(each).digest()
