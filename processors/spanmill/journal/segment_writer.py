"""Writing: the segment that grows, the next one ahead of need, and the ones to be sealed."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from spanmill.clock import Clock
from spanmill.errors import JournalError, UnavailableError
from spanmill.journal.arrival import ArrivalClock
from spanmill.journal.files import Buffer, FileSystem
from spanmill.journal.log import RETRY_AFTER_SECONDS, Record
from spanmill.journal.record_format import Prepared, crc32c, encode
from spanmill.journal.segment import Segment, segment_name
from spanmill.journal.segment_format import (
    BLOCK,
    Footer,
    Head,
    Seal,
    encode_footer,
    encode_head,
    encode_seal,
)
from spanmill.journal.segments import Segments
from spanmill.journal.spares import Spare, Spares

_log = logging.getLogger(__name__)

_FOOTER_ROOM: Final = 32 * 1024


@dataclass(slots=True)
class WriterSettings:
    """How segments are written; `random` gives bytes that nobody outside can foretell.

    `room` is asked before a file of so many bytes is made; it raises UnavailableError where the
    journal may not grow. `observe_sync` gets what a sync before an answer took, in ns.
    """

    folder: Path
    journal_id: bytes
    synced: bool
    segment_bytes: int
    random: Callable[[int], bytes]
    room: Callable[[int], None]
    observe_sync: Callable[[int], None]


class SegmentWriter:
    """Appends groups of records to the newest segment; a new one is begun when it is full.

    A group that can't be written, or can't be synced, is refused, and nothing is written behind
    it: the next group begins a new segment at the same position, which voids the rest of the old
    one. After a failure nothing is tried for RETRY_AFTER_SECONDS.
    """

    def __init__(
        self,
        files: FileSystem,
        segments: Segments,
        settings: WriterSettings,
        clock: Clock,
        arrival: ArrivalClock,
    ) -> None:
        self._files = files
        self._segments = segments
        self._settings = settings
        self._clock = clock
        self._arrival = arrival
        self.spares: Final = Spares(files, settings.folder, settings.segment_bytes)
        self._segment: Segment | None = None
        self._file = -1
        self._lock = threading.RLock()  # guards which segment and file are the newest
        self._lost: str | None = None
        self._gone: Segment | None = None
        self.lost: Callable[[], str | None] = lambda: None  # why the directory isn't ours now
        self._unsealed: deque[tuple[Segment, int]] = deque()
        self._retry_at = float("-inf")
        self.refusal: str | None = None
        self.left: Callable[[], None] = lambda: None  # a segment is to be sealed
        self.next_position = self.written_to = 0
        self.durable = 0

    def append(self, group: Sequence[Prepared]) -> list[Record[Any]]:
        """Write these as the next records, and sync them where an acknowledgement needs it."""
        if self._clock.monotonic() < self._retry_at:
            assert self.refusal is not None, "that is why it waits"
            raise UnavailableError(self.refusal, RETRY_AFTER_SECONDS)
        try:
            self._check_place()
            return self._append(group)
        except (OSError, JournalError) as error:
            self._abandon()
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            self._refuse(self._lost or f"the journal can't be written: {reason}")
            raise UnavailableError(str(self.refusal), RETRY_AFTER_SECONDS) from error

    def begin_at(self, position: int) -> None:
        """Give no record a lower position than this."""
        if position > self.next_position:
            self._abandon()
            self.next_position = self.durable = position
            self._segments.committed(position)

    def begin(self) -> None:
        """Begin a segment before there is a record, where that works: it says what comes next."""
        with contextlib.suppress(OSError, JournalError, UnavailableError):
            self._begin(0)

    def prepare_ahead(self) -> None:
        """Have room for the next segment; raises OSError, and UnavailableError for no room."""
        self.spares.tidy()
        if self._lost is None and not self.spares.is_ready:
            self._settings.room(self._settings.segment_bytes)
            self.spares.add(self.spares.make(self._settings.segment_bytes))

    def watch(self) -> None:
        """Look whether what is written to still has its name; about once a second.

        Where the directory isn't ours any more nothing is taken; where the newest segment alone
        is gone, another one is begun. Raises OSError where that can't be known.
        """
        lost = self.lost()
        if lost is not None and lost != self._lost:
            _log.error("nothing is taken for now", extra={"reason": lost})
            self.refusal = lost
        self._lost = lost
        with self._lock:
            segment = self._segment
            if lost is not None or segment is None or segment is self._gone:
                return
            if self._files.is_at(self._file, segment.path):
                return
            self._gone = segment
        _log.error(
            "the journal's newest segment was removed or replaced under this process: its records "
            "are lost to a restart and to destinations; another one is begun",
            extra={"segment": str(segment.path), "from": segment.first, "to": segment.end - 1},
        )

    def seal_one(self) -> bool:
        """Seal the oldest segment that is full or was left; whether there was one."""
        with self._lock:
            if not self._unsealed:
                return False
            segment, file = self._unsealed.popleft()
        try:
            if not segment.removed:
                seal(self._files, segment, file, shrink=False)
                if not self._settings.synced:
                    self.durable = max(self.durable, segment.end)
        except OSError as error:
            _log.warning(
                "a segment of the journal is not sealed: a start will have to read it whole",
                extra={"segment": str(segment.path), "error": error.strerror},
            )
        finally:
            self._files.close(file)
        return True

    def close(self) -> None:
        """Seal everything; what was written is synced."""
        self._abandon()
        while self._unsealed:
            segment, file = self._unsealed.popleft()
            try:
                if not segment.removed:
                    seal(self._files, segment, file, shrink=True)
            except OSError as error:
                _log.error(
                    "the journal could not be closed as it should",
                    extra={"segment": str(segment.path), "error": error.strerror},
                )
            finally:
                self._files.close(file)
        if self.lost() is None:  # or the names are another one's
            self.spares.drop()

    @property
    def is_lost(self) -> bool:
        """Whether the directory isn't ours any more."""
        return self._lost is not None

    def _check_place(self) -> None:
        """Write nothing more into what was removed under us."""
        if self._lost is not None:
            raise JournalError(self._lost)
        if self._gone is not None and self._gone is self._segment:
            self._segments.remove(self._gone)
            self._abandon()
            self._gone = None

    def _append(self, group: Sequence[Prepared]) -> list[Record[Any]]:
        length = sum(prepared.length for prepared in group)
        segment = self._segment
        if segment is None or segment.end_at + length + _FOOTER_ROOM > segment.size:
            segment = self._begin(length)
        salt = segment.head.salt
        durable = self.durable
        records: list[Record[Any]] = []
        buffers: list[Buffer] = []
        position = self.next_position
        for prepared in group:
            arrival = self._arrival.now()
            buffers += encode(prepared, position, arrival, durable, salt)
            records.append(Record(position, arrival, prepared.entry))
            position += 1
        self._files.write(self._file, buffers, segment.end_at)
        if self._settings.synced and any(prepared.synced for prepared in group):
            begun = self._clock.monotonic()
            self._files.sync(self._file)
            self._settings.observe_sync(round((self._clock.monotonic() - begun) * 1e9))
            self.durable = position
        self._commit(segment, group, records, length)
        return records

    def _commit(
        self,
        segment: Segment,
        group: Sequence[Prepared],
        records: Sequence[Record[Any]],
        length: int,
    ) -> None:
        at = segment.end_at
        segment.end_at += length  # before the footer's end, which readers look at first
        for prepared, record in zip(group, records, strict=True):
            entry = prepared.entry
            segment.footer.take(
                record.position,
                record.arrival_ns,
                signal=entry.signal,
                items=entry.items,
                payload_bytes=0 if entry.duplicate else len(entry.payload),
                at=at,
            )
            at += prepared.length
        self.next_position = self.written_to = records[-1].position + 1
        self._segments.committed(self.next_position)
        self.refusal = None

    def _begin(self, length: int) -> Segment:
        """Begin a new segment that has room for so many bytes at least."""
        settings = self._settings
        if self._segment is not None and settings.synced and self.durable < self.next_position:
            self._files.sync(self._file)
            self.durable = self.next_position
        size = max(settings.segment_bytes, BLOCK + length + _FOOTER_ROOM)
        self._lost = self.lost()
        self._check_place()
        spare = self.spares.take(size)
        if spare is None:
            settings.room(size)
            spare = self.spares.make(size)
        path, file, size = spare
        salt = int.from_bytes(settings.random(4), "little")
        head = Head(self.next_position, self.written_to, salt, settings.journal_id, settings.synced)
        target = settings.folder / segment_name(head.first)
        try:
            self._files.write(file, [encode_head(head)], 0)
            self._files.sync(file)  # a file with a segment's name has the head of that one
        except OSError:
            self.spares.discard(path, size, file)
            raise
        segment = Segment(target, head, Footer(head.first), BLOCK, size)
        with self._lock:
            self._name(spare, target)
            if self._segment is not None:
                self._leave()
            self._segment, self._file = segment, file
        self._segments.add(segment)
        return segment

    def _name(self, spare: Spare, target: Path) -> None:
        """Make a file a segment."""
        path, file, size = spare
        try:
            self._files.rename(path, target)
        except OSError:
            self.spares.discard(path, size, file)
            raise
        try:
            self._files.sync_folder(target.parent)
        except OSError:
            self._files.close(file)
            with contextlib.suppress(OSError):  # then the next attempt takes its place
                self._files.remove(target)
            raise

    def _leave(self) -> None:
        """Write no more into the newest segment."""
        assert self._segment is not None
        with self._lock:
            self._unsealed.append((self._segment, self._file))
        self._segment, self._file = None, -1
        self.left()

    def _abandon(self) -> None:
        if self._segment is not None:
            self._leave()

    def _refuse(self, why: str) -> None:
        if self.refusal is None:
            _log.error("nothing is taken for now", extra={"reason": why})
        self.refusal = why
        self._retry_at = self._clock.monotonic() + RETRY_AFTER_SECONDS


def seal(
    files: FileSystem, segment: Segment, file: int, *, shrink: bool, footer_at: int | None = None
) -> None:
    """Write the footer, so that a start needn't read the segment; the file stays open.

    It is written behind the records, or where `footer_at` says. With `shrink` the room behind it
    is given back. Raises OSError; then it isn't sealed.
    """
    footer = encode_footer(segment.footer)
    at = segment.end_at if footer_at is None else footer_at
    files.write(file, [footer], at)
    sealed = Seal(segment.end_at, at, len(footer), crc32c(footer))
    for place, content in encode_seal(sealed, segment.head.salt):
        files.write(file, [content], place)
    if shrink:
        files.truncate(file, at + len(footer))
        segment.size = at + len(footer)
    files.sync(file)
    segment.sealed = True
