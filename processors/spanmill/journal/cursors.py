"""All destinations' cursors on disk, and the tails that they share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from spanmill.journal.cursor import DiskCursor
from spanmill.journal.follower import FollowerPlace
from spanmill.journal.log import CursorSettings, Signal
from spanmill.journal.tail import TAIL_BYTES, Tail


class DiskCursors:
    """Makes cursors (`MakeFollower`); those of one signal read the same records in memory.

    `books` is held while a figure of theirs changes together with the counters. Memory: up to
    `tail_bytes` for each signal that has a destination.
    """

    def __init__(self, books: AbstractContextManager[object], tail_bytes: int = TAIL_BYTES) -> None:
        self._books = books
        self._tails = {signal: Tail(tail_bytes) for signal in Signal}

    def __call__(
        self, settings: CursorSettings, expired: Callable[[int], None], place: FollowerPlace
    ) -> DiskCursor:
        """The cursor of one destination, to be opened by the journal."""
        tail = self._tails[settings.signal]
        return DiskCursor(settings, expired, place, tail=tail, books=self._books)
