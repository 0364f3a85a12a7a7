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

_log = logging.getLogger(__name__)

_FOOTER_ROOM: Final = 32 * 1024
_SPARES: Final = 8
SPARE: Final = "spare-"
"""What the names of files begin with that are no segments yet."""


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
        self._segment: Segment | None = None
        self._file = -1
        self._lock = threading.Lock()
        self._spares: deque[tuple[Path, int, int]] = deque()
        self._spare_number = 0
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
            return self._append(group)
        except (OSError, JournalError) as error:
            self._abandon()
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            self._refuse(f"the journal can't be written: {reason}")
            raise UnavailableError(str(self.refusal), RETRY_AFTER_SECONDS) from error

    def begin_at(self, position: int) -> None:
        """Give no record a lower position than this."""
        if position > self.next_position:
            self._abandon()
            self.next_position = self.durable = position
            self._segments.committed(position)

    def begin(self) -> None:
        """Begin a segment before there is a record, where that works: it says what comes next."""
        with contextlib.suppress(OSError, UnavailableError):
            self._begin(0)

    def prepare_ahead(self) -> None:
        """Have room for the next segment; raises OSError, and UnavailableError for no room."""
        with self._lock:
            if self._spares:
                return
        self._settings.room(self._settings.segment_bytes)
        spare = self._make_spare(self._settings.segment_bytes)
        with self._lock:
            self._spares.append(spare)

    def use_again(self, path: Path) -> bool:
        """Take a segment's file that nobody needs for a next one; False where there are enough.

        Writing over a file costs half of what writing into a fresh one does (docs/durability.md).
        """
        with self._lock:
            if len(self._spares) >= _SPARES:
                return False
        target = self._spare_path()
        self._files.rename(path, target)
        # Nothing is written over what may still have its old name after a power cut.
        self._files.sync_folder(target.parent)
        file = self._files.open(target)
        size = self._files.size(file)
        if size < self._settings.segment_bytes:
            self._files.close(file)
            self._files.remove(target)
            return True
        with self._lock:
            self._spares.append((target, file, size))
        return True

    @property
    def spare_bytes(self) -> int:
        """What files take that are no segments yet."""
        with self._lock:
            return sum(size for _, _, size in self._spares)

    def drop_spares(self) -> None:
        """Give the room of files back that are no segments yet."""
        while True:
            with self._lock:
                if not self._spares:
                    return
                path, file, _ = self._spares.popleft()
            self._files.close(file)
            self._files.remove(path)

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
        try:
            self.drop_spares()
        except OSError as error:
            _log.warning("a spare file is left", extra={"error": error.strerror})

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
        with self._lock:
            fits = bool(self._spares) and self._spares[0][2] >= size
            spare = self._spares.popleft() if fits else None
        if spare is None:
            settings.room(size)
            spare = self._make_spare(size)
        path, file, size = spare
        salt = int.from_bytes(settings.random(4), "little")
        head = Head(self.next_position, self.written_to, salt, settings.journal_id, settings.synced)
        target = settings.folder / segment_name(head.first)
        try:
            self._files.write(file, [encode_head(head)], 0)
            self._files.sync(file)  # a file with a segment's name has the head of that one
            self._files.rename(path, target)
            self._files.sync_folder(settings.folder)
        except OSError:
            self._files.close(file)
            raise
        segment = Segment(target, head, Footer(head.first), BLOCK, size)
        if self._segment is not None:
            self._leave()
        self._segment, self._file = segment, file
        self._segments.add(segment)
        return segment

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

    def _make_spare(self, size: int) -> tuple[Path, int, int]:
        path = self._spare_path()
        file = self._files.open(path, create=True)
        try:
            self._files.allocate(file, size)
            self._files.sync(file)
        except OSError:
            self._files.close(file)
            self._files.remove(path)
            raise
        return path, file, size

    def _spare_path(self) -> Path:
        self._spare_number += 1
        return self._settings.folder / f"{SPARE}{self._spare_number}"


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
