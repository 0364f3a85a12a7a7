"""A destination's cursor as the journal on disk sees it, and what it finds there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from spanmill.clock import Clock
from spanmill.errors import JournalError
from spanmill.journal.files import FileSystem
from spanmill.journal.log import Cursor, CursorSettings, Record, Signal
from spanmill.journal.stored import StoredRecords

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much there is of a signal from a position on; `bytes` are those of the payloads."""

    records: int = 0
    items: int = 0
    bytes: int = 0

    def __add__(self, other: Backlog) -> Backlog:
        return Backlog(
            self.records + other.records, self.items + other.items, self.bytes + other.bytes
        )


class StoredJournal(StoredRecords, Protocol):
    """The stored records, and sums of them that need no reading of all."""

    def backlog(self, signal: Signal, start: int, end: int | None = None) -> Backlog:
        """What this signal's records from `start` up to `end` (not included; None: all) sum to.

        Records without a payload and duplicates don't count: no destination gets them. Whole
        segments are summed from their totals; of the others the headers are read. It raises
        nothing: what can't be read is estimated.
        """
        ...

    def segment_end(self, position: int) -> int:
        """Where the segment ends that has this position; what can't be read goes up to there."""
        ...


class Follower(Cursor, Protocol):
    """A cursor whose position is on disk.

    The journal makes it before `open`, opens it when its own records are known, and shows it
    every record from then on. Only `append`, `expire` and `expired` belong under the books.
    """

    @property
    def settings(self) -> CursorSettings:
        """What the configuration says of it."""
        ...

    @property
    def needs_from(self) -> int:
        """The lowest position that it still needs, as far as its own file is synced.

        Segments below it may go at any moment from then on.
        """
        ...

    def open(self) -> None:
        """Read where it stood; the journal's records are known, replay hasn't begun.

        Raises StartError, one sentence that says how to go on.
        """
        ...

    def append(self, record: Record[Any]) -> None:
        """A record was committed and applied; called in order, under the books."""
        ...

    def expire(self, below: int) -> None:
        """Give up what lies below this position; called under the books.

        The journal needs the room, or it is over `max_age`. Never called for `required` ones.
        """
        ...

    def sync(self) -> None:
        """Make what it was told durable; called about once a second, and at the end.

        Raises OSError where that fails; then `needs_from` stays where it was.
        """
        ...


@dataclass(frozen=True, slots=True)
class FollowerPlace:
    """What a follower works with: `folder` is where its file is, or is to be."""

    files: FileSystem
    folder: Path
    stored: StoredJournal
    clock: Clock


MakeFollower = Callable[[CursorSettings, Callable[[int], None], FollowerPlace], Follower]
"""What makes a destination's cursor; the callback gets the number of items that expired."""


def sync_or_warn(follower: Follower) -> None:
    """Make durable where a destination stands; where that fails it stays where it was."""
    try:
        follower.sync()
    except (OSError, JournalError) as error:
        _log.warning(
            "a destination's position can't be synced",
            extra={"destination": follower.name, "error": str(error)},
        )
