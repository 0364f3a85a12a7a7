"""Where a cursor goes on after a restart, whatever its file says."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from spanmill.journal.cursor_log import CursorEntry, read_last_entry
from spanmill.journal.cursor_position import CursorPosition
from spanmill.journal.files import FileSystem, make_folders
from spanmill.journal.log import CursorSettings
from spanmill.journal.stored import StoredRecords

_log = logging.getLogger(__name__)

SUFFIX: Final = ".cursor"
_LONGEST_NAME: Final = 200  # of 255 bytes that file systems allow


@dataclass(frozen=True, slots=True)
class Found:
    """Where a cursor stands at its opening; `created_ns` is 0 where its counts begin now.

    `resumed` says that its file was there and could be read, `forgotten` that it was there and
    could not.
    """

    position: CursorPosition
    outcomes: Mapping[str, int]
    created_ns: int
    resumed: bool
    forgotten: bool = False


def cursor_path(folder: Path, settings: CursorSettings) -> Path:
    """The file of a destination's cursor; no two destinations have the same."""
    name = quote(settings.name, safe=" ")
    if len(name) > _LONGEST_NAME:
        name = name[:100] + "~" + hashlib.sha256(settings.name.encode()).hexdigest()
    return folder / f"{settings.signal.value}-{name}{SUFFIX}"


def name_of(path: Path) -> tuple[str, str]:
    """The signal and the destination of a cursor's file; a very long name is cut short."""
    signal, _, name = path.name.removesuffix(SUFFIX).partition("-")
    return signal, unquote(name)


def find_place(
    files: FileSystem, path: Path, settings: CursorSettings, stored: StoredRecords
) -> Found:
    """Where this destination goes on: a new one with what comes from now on.

    One whose file is unreadable begins with the oldest record that is there. Raises OSError.
    """
    whose = {"destination": settings.name, "signal": settings.signal.value}
    make_folders(files, path.parent)
    try:
        entry, is_damaged = read_last_entry(files, path)
    except FileNotFoundError:
        return Found(CursorPosition(stored.end), {}, 0, resumed=False)
    if entry is None:
        _log.error(
            "a destination's position can't be read, it begins with the oldest record that is "
            "there: it may get records twice",
            extra={**whose, "file": str(path), "position": stored.first},
        )
        return Found(CursorPosition(stored.first), {}, 0, resumed=False, forgotten=True)
    if is_damaged:
        _log.warning(
            "the end of a destination's file is damaged, it goes on from the entry before: it may "
            "get some records twice",
            extra={**whose, "file": str(path), "position": entry.next},
        )
    return Found(_position(entry, whose, stored), entry.outcomes, entry.created_ns, resumed=True)


def _position(
    entry: CursorEntry, whose: Mapping[str, str], stored: StoredRecords
) -> CursorPosition:
    first, end = stored.first, stored.end
    if entry.next > end:
        _log.warning(
            "a destination is ahead of the journal, whose newest records are gone; it goes on with "
            "those that come",
            extra={**whose, "position": entry.next, "journal_end": end},
        )
    ranges = [
        (max(low, first), min(high, end))
        for low, high in entry.unanswered
        if max(low, first) < min(high, end)
    ]
    return CursorPosition(min(max(entry.next, first), end), ranges)
