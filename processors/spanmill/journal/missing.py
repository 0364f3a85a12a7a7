"""What a start should find in the journal, as others know it: checkpoints and cursors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from spanmill.journal.cursor_log import read_last_entry
from spanmill.journal.cursor_opening import SUFFIX
from spanmill.journal.files import FileSystem
from spanmill.journal.segment import Segment

_log = logging.getLogger(__name__)

_WHAT_TO_DO: Final = "if segments were moved away, put them back before anything new is taken"


def known_to_cursors(files: FileSystem, folder: Path) -> int:
    """One more than the highest position that any destination's file knows; raises OSError."""
    highest = 0
    for name in files.names(folder):
        if name.endswith(SUFFIX):
            entry, _ = read_last_entry(files, folder / name)
            if entry is not None:
                highest = max(highest, entry.next)
    return highest


def tell_missing(segments: Sequence[Segment], checkpoint: int, known: int) -> int:
    """Say which records a start needs and doesn't find; how many, as far as that is known.

    `checkpoint` is the position that was restored, -1 for none; cursors know of those below
    `known`.
    """
    needed = checkpoint + 1
    if segments:
        begin = segments[0].head.after
        if begin <= needed:
            return 0
        message = (
            "records of the journal are missing"
            if checkpoint >= 0
            else "no checkpoint can be used, and the journal's first records are not there any "
            "more: what is derived begins anew with those that are"
        )
        _log.error(
            message,
            extra={
                "from": needed,
                "to": begin - 1,
                "before": str(segments[0].path),
                "what_to_do": _WHAT_TO_DO,
            },
        )
        return begin - needed if checkpoint >= 0 else 0
    if not max(needed, known):
        return 0
    # At least one segment is always kept.
    _log.error(
        "records of the journal are missing: it has no segment, although others know of it",
        extra={
            "from": needed,
            "to": known - 1 if known > needed else "unknown",
            "what_to_do": _WHAT_TO_DO,
        },
    )
    return max(0, known - needed)
