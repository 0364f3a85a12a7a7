"""The checkpoints of a state directory: the two newest, written so that none is ever half there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from spanmill.journal.checkpoint_format import Checkpoint, decode_checkpoint
from spanmill.journal.directory import unusable
from spanmill.journal.files import FileSystem, make_folders

KEPT: Final = 2

_NAME: Final = re.compile(r"(\d{20})\.checkpoint")
_UNFINISHED: Final = ".unfinished"
_SET_ASIDE: Final = ".set-aside"
_ASIDE: Final = re.compile(r"checkpoint\.set-aside-(\d{1,9})")


class CheckpointFiles:
    """Files named by the position of the last record that they know, in a folder of their own."""

    def __init__(self, files: FileSystem, folder: Path) -> None:
        self._files = files
        self._folder = folder

    def newest_first(self) -> list[Path]:
        """The files that may hold a checkpoint, the one with the highest position first.

        Raises StartError where that can't be known.
        """
        try:
            names = self._files.names(self._folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unusable(self._folder.parent, error) from error
        return [
            self._folder / name for name in sorted(filter(_NAME.fullmatch, names), reverse=True)
        ]

    def read(self, path: Path) -> Checkpoint:
        """The checkpoint in a file; raises CheckpointError where it is damaged or of no use.

        StartError where the disk doesn't give it: it may be whole, and is to be left as it is.
        """
        try:
            file = self._files.open_to_read(path)
            try:
                content = self._files.read(file, self._files.size(file), 0)
            finally:
                self._files.close(file)
        except OSError as error:
            error.filename = error.filename or str(path)
            raise unusable(self._folder.parent, error) from error
        return decode_checkpoint(content)

    def set_aside(self, path: Path) -> Path:
        """Give a file that can't be used another name, so that somebody can look at it.

        Of those that were set aside the newest KEPT stay. Where even that fails the file stays
        where it is.
        """
        try:
            found = (_ASIDE.fullmatch(name) for name in self._files.names(self._folder))
            numbers = sorted(int(match[1]) for match in found if match)
            aside = self._aside(numbers[-1] + 1 if numbers else 1)
            self._files.rename(path, aside)
        except OSError:
            return path
        with contextlib.suppress(OSError):  # there is one too many then
            for number in numbers[: 1 - KEPT]:
                self._files.remove(self._aside(number))
        return aside

    def _aside(self, number: int) -> Path:
        return self._folder / f"checkpoint{_SET_ASIDE}-{number}"

    def write(self, position: int, pieces: Sequence[bytes]) -> None:
        """Write a checkpoint durably, and remove the one that is too many.

        Raises OSError where that fails: then those before are still there.
        """
        make_folders(self._files, self._folder)
        unfinished = self._folder / f"checkpoint{_UNFINISHED}"
        file = self._files.open(unfinished, create=True)
        try:
            self._files.truncate(file, 0)
            self._files.write(file, pieces, 0)
            self._files.sync(file)
        except OSError:
            with contextlib.suppress(OSError):  # it may hold the room that the journal needs
                self._files.truncate(file, 0)
            raise
        finally:
            self._files.close(file)
        self._files.rename(unfinished, self._folder / f"{position:020}.checkpoint")
        self._files.sync_folder(self._folder)
        for path in self.newest_first()[KEPT:]:
            self._files.remove(path)

    def oldest(self) -> int:
        """The position of the oldest that is kept; -1 where there is none."""
        kept = self.newest_first()[:KEPT]
        return int(kept[-1].stem) if kept else -1
