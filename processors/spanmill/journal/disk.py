"""The journal on disk: what it acknowledges is there after a crash."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, Literal

from spanmill.clock import Clock
from spanmill.errors import StartError, UnavailableError
from spanmill.journal.arrival import ArrivalClock
from spanmill.journal.compression import Compression
from spanmill.journal.directory import JOURNAL_ID_BYTES, open_directory, unusable
from spanmill.journal.files import FileSystem, RealFiles
from spanmill.journal.follower import Follower, FollowerPlace, MakeFollower, sync_or_warn
from spanmill.journal.group_commit import GroupCommit
from spanmill.journal.held_directory import HeldDirectory
from spanmill.journal.log import (
    RETRY_AFTER_SECONDS,
    Cursor,
    CursorSettings,
    Decoded,
    Entry,
    Record,
    Signal,
)
from spanmill.journal.missing import known_to_cursors, tell_missing
from spanmill.journal.record_format import Prepared, prepare
from spanmill.journal.recovery import recover
from spanmill.journal.retention import Retention, RetentionSettings
from spanmill.journal.scan import Damage
from spanmill.journal.segment import Segment
from spanmill.journal.segment_writer import SegmentWriter, WriterSettings
from spanmill.journal.segments import Segments
from spanmill.journal.stored import StoredRecord
from spanmill.journal.upkeep import Upkeep

_log = logging.getLogger(__name__)

_GROUP_BYTES: Final = 8 << 20
SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class DiskSettings:
    """Where the journal is, what an acknowledgement promises, and its bounds.

    `max_age` is in seconds. A larger record than `segment_bytes` gets a segment of its own.
    """

    directory: Path
    durability: Literal["synced", "written"]
    max_bytes: int
    max_age: float
    segment_bytes: int


class DiskJournal(Generic[Decoded]):
    """A journal that keeps its records in files until nobody needs them.

    With `synced` an acknowledgement means that the record is on disk; with `written`, that the
    operating system has it. `books` is held while a record is applied and shown to the cursors.
    docs/durability.md has the promise and the format.

    `open`, `replay`, `start` come in this order. Without `start` nothing runs in the background:
    `upkeep.step()` and `compression.step()` do once what the threads do all the time.
    """

    def __init__(
        self,
        settings: DiskSettings,
        clock: Clock,
        books: AbstractContextManager[object],
        make_cursor: MakeFollower,
        *,
        version: str,
        files: FileSystem | None = None,
        random: Callable[[int], bytes] = os.urandom,
        observe_sync: Callable[[int], None] = lambda _: None,
        group_bytes: int = _GROUP_BYTES,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._books = books
        self._make_cursor = make_cursor
        self._version = version
        self._files: FileSystem = RealFiles() if files is None else files
        self._random = random
        self._observe_sync = observe_sync
        self._followers: list[Follower] = []
        self._segments = Segments(self._files, self._tell_damage)
        self._retention = Retention(
            self._files,
            self._segments,
            self._followers,
            settings=RetentionSettings(settings.max_bytes, round(settings.max_age * SECOND)),
            clock=clock,
            books=books,
            use_again=self._use_again,
        )
        self._writer: SegmentWriter | None = None
        self._commits: GroupCommit[Decoded, Prepared] = GroupCommit(self, books, group_bytes)
        self._held: HeldDirectory | None = None
        self.upkeep: Upkeep | None = None
        self.compression: Final = Compression(self._files, self._segments, self._followers, clock)
        self.journal_id = b""
        self.damaged_records = 0
        self._known = 0  # to the cursors, when it was opened

    @property
    def stored(self) -> Segments:
        """The committed records, for whoever reads them."""
        return self._segments

    def cursor(self, settings: CursorSettings, expired: Callable[[int], None]) -> Cursor:
        """The reader of a destination; call it before `open`."""
        place = FollowerPlace(
            self._files, self._settings.directory / "cursors", self._segments, self._clock
        )
        follower = self._make_cursor(settings, expired, place)
        self._followers.append(follower)
        self._commits.followers.append(follower)
        return follower

    def open(self) -> None:
        """Take the directory, find the records, and where each destination stood.

        Raises StartError, one sentence that says how to go on.
        """
        settings = self._settings
        fresh_id = self._random(JOURNAL_ID_BYTES)
        opened = open_directory(self._files, settings.directory, fresh_id, self._version)
        self._held, self.journal_id = opened, opened.journal_id
        try:
            self._recover(settings.directory / "journal")
            self._known = known_to_cursors(self._files, settings.directory / "cursors")
            self.begin_at(self._known)
            for follower in self._followers:
                follower.open()
        except OSError as error:
            self._unlock()
            raise unusable(settings.directory, error) from error
        except StartError:
            self._unlock()
            raise

    def _recover(self, folder: Path) -> None:
        recovered = recover(self._files, folder, self.journal_id, self._clock)
        for segment in recovered.segments:
            self._segments.add(segment)
        self.damaged_records = recovered.damaged
        self._segments.committed(recovered.next_position)
        writer = SegmentWriter(
            self._files,
            self._segments,
            WriterSettings(
                folder,
                self.journal_id,
                self._settings.durability == "synced",
                self._settings.segment_bytes,
                self._random,
                self._retention.make_room,
                self._observe_sync,
            ),
            self._clock,
            ArrivalClock(self._clock, recovered.last_arrival_ns),
        )
        writer.next_position = writer.written_to = writer.durable = recovered.next_position
        self._writer = writer
        self._retention.spare_bytes = lambda: writer.spares.bytes
        self._retention.drop_spares = writer.spares.drop
        self._retention.discard = writer.spares.discard
        writer.lost = self._why_lost
        self.upkeep = Upkeep(writer, self._retention, self._followers)
        writer.left = self.upkeep.wake

    def begin_at(self, position: int) -> None:
        """Give no record a lower position than this; between `open` and `start`.

        Checkpoints and cursors may know of records that are gone: no position is used twice.
        """
        assert self._writer is not None, "it was opened"
        self._writer.begin_at(position)

    def replay(self, after: int, apply: Callable[[StoredRecord], None]) -> None:
        """Let `apply` see the records after this position that are still there.

        Those that should be and aren't are told.
        """
        assert self._writer is not None, "it was opened"
        self.damaged_records += tell_missing(self._segments.all(), after, self._known)
        if not self._segments.all() and self._segments.end:
            self._writer.begin()  # it is told once
        for record in self._segments.read(after + 1):
            apply(record)

    def checkpointed(self, position: int) -> None:
        """Records up to this position, included, will not be replayed any more."""
        self._retention.checkpointed_to = position + 1
        if self.upkeep is not None:
            self.upkeep.wake()

    def start(self, apply: Callable[[Record[Decoded]], None]) -> None:
        """Begin to commit, and to keep the files in order."""
        assert self.upkeep is not None, "it was opened"
        self.upkeep.start()
        self.compression.start()
        self._commits.start(apply)

    def submit(self, entry: Entry[Decoded]) -> Future[Record[Decoded]]:
        """Queue an entry; the future ends once it is committed and applied.

        It raises UnavailableError, which says why, where the journal takes nothing now.
        """
        return self._commits.submit(entry)

    def close(self) -> None:
        """Commit and apply what was submitted, then refuse the rest; everything is synced."""
        self._commits.close()
        self.compression.close()
        if self.upkeep is not None:
            self.upkeep.close()
        if self._writer is not None:
            self._writer.close()

    def release(self) -> None:
        """Give the directory to others; after `close`, when no cursor is read any more."""
        self.sync_cursors()
        self._unlock()

    def sync_cursors(self) -> None:
        """Make durable where the destinations stand."""
        for follower in self._followers:
            sync_or_warn(follower)

    @property
    def bytes_on_disk(self) -> int:
        """What the journal's files take."""
        return self._segments.bytes + self._retention.spare_bytes()

    @property
    def bytes_to_replay(self) -> int:
        """What the segments take that a start would replay; a checkpoint makes it less."""
        position = self._retention.checkpointed_to
        return sum(segment.size for segment in self._segments.all() if segment.end > position)

    @property
    def oldest_arrival_ns(self) -> int | None:
        """When the oldest record arrived that is still there; None where there is none."""
        for segment in self._segments.all():
            if segment.footer.records:
                return segment.footer.arrivals[0]
        return None

    @property
    def refusal(self) -> str | None:
        """Why nothing is taken now; None while everything is."""
        return self._retention.refusal() or (self._writer.refusal if self._writer else None)

    def _unlock(self) -> None:
        if self._held is not None:
            self._held.release()
            self._held = None

    def _why_lost(self) -> str | None:
        return self._held.lost() if self._held is not None else None

    def _use_again(self, segment: Segment) -> bool:
        return self._writer is not None and self._writer.spares.use_again(segment.path)

    def _tell_damage(self, segment: Segment, damage: Damage) -> None:
        self.damaged_records += 1
        _log.error(
            "a record of the journal is damaged and is passed over",
            extra={"segment": str(segment.path), "offset": damage.at, "position": damage.position},
        )

    def prepare(self, entry: Entry[Decoded]) -> tuple[Prepared, int]:
        """See `group_commit.Log`."""
        if entry.signal is not Signal.TICK and not entry.duplicate:
            refusal = self._retention.refusal()
            if refusal is not None:
                raise UnavailableError(refusal, RETRY_AFTER_SECONDS)
        prepared = prepare(entry)
        return prepared, prepared.length

    def append(self, group: Sequence[Prepared]) -> Sequence[Record[Decoded]]:
        """See `group_commit.Log`."""
        if self._writer is None:
            raise StartError("the journal was not opened")
        return self._writer.append(group)
