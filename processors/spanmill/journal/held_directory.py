"""The directory while this process has it, and whether it still is that one."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Final

from spanmill.journal.files import FileSystem

_LONGEST: Final = 4096


class HeldDirectory:
    """A directory that this process has until `release`.

    The lock is on the folder itself, which can't be exchanged unseen as a file in it can.
    """

    def __init__(
        self, files: FileSystem, directory: Path, journal_id: bytes, opened: list[int]
    ) -> None:
        self.journal_id: Final = journal_id
        self._files = files
        self._directory = directory
        self._opened = opened
        self._folders: list[tuple[int, Path]] = []

    def know(self) -> None:
        """Remember which folders these are; raises OSError."""
        for path in (self._directory, self._directory / "journal"):
            file = self._files.open_folder(path)
            self._opened.append(file)
            self._folders.append((file, path))

    def lost(self) -> str | None:
        """Why the files are not ours any more, in one sentence; None while they are.

        What can't be read is taken to be as it was.
        """
        changed = self._changed()
        if changed is None:
            return None
        return (
            f"the files of state.directory {self._directory} were removed or replaced under this "
            f"process: {changed}; put them back, or restart it"
        )

    def release(self) -> None:
        """Give it to others."""
        while self._opened:
            self._files.close(self._opened.pop())

    def _changed(self) -> str | None:
        with contextlib.suppress(OSError):
            for file, path in self._folders:
                if not self._files.is_at(file, path):
                    return f"{path} is gone, or another folder has its name"
            said = self._said_id()
            if said is not None and said != self.journal_id:
                return f"{self._directory / 'format'} is that of another journal"
        return None

    def _said_id(self) -> bytes | None:
        """The id in the format file; None where there is none: a start writes it again."""
        file = self._files.open_to_read(self._directory / "format")
        try:
            content = self._files.read(file, _LONGEST, 0)
        finally:
            self._files.close(file)
        try:
            return bytes.fromhex(json.loads(content)["journal_id"])
        except (ValueError, KeyError, TypeError):
            return None
