"""A journal of records in a list, with cursors on disk, and the same again after a crash."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from spanmill.journal.cursor import DiskCursor
from spanmill.journal.cursors import DiskCursors
from spanmill.journal.files import FileSystem, RealFiles
from spanmill.journal.follower import Backlog, FollowerPlace
from spanmill.journal.log import CursorSettings, Entry, ReadRecord, Record, Signal
from spanmill.journal.stored import StoredRecord
from spanmill.testing import ManualClock


class ListedRecords:
    """Stored records in a list, of which some can be taken away."""

    def __init__(self) -> None:
        self.records: list[StoredRecord] = []
        self.end = 0
        self.read_from: list[int] = []

    @property
    def first(self) -> int:
        return self.records[0].position if self.records else self.end

    def read(self, position: int, *, payloads: bool = True) -> Iterator[StoredRecord]:
        self.read_from.append(position)
        yield from [record for record in self.records if record.position >= position]

    def backlog(self, signal: Signal, start: int, end: int | None = None) -> Backlog:
        found = [
            record
            for record in self.records
            if record.signal is signal
            and start <= record.position < (self.end if end is None else end)
            and record.payload_bytes
            and not record.duplicate
        ]
        return Backlog(
            len(found),
            sum(record.items for record in found),
            sum(record.payload_bytes for record in found),
        )

    def segment_end(self, position: int) -> int:
        return self.end

    def add(self, record: Record[None]) -> None:
        given = record.entry
        self.end = record.position + 1
        self.records.append(
            StoredRecord(
                record.position,
                record.arrival_ns,
                given.signal,
                given.source,
                given.items,
                given.rejected,
                given.key,
                given.duplicate,
                len(given.payload),
                given.payload,
            )
        )

    def lose(self, *positions: int) -> None:
        self.records = [record for record in self.records if record.position not in positions]


class Followed:
    """Appends to the list, shows its cursors what came, and forgets them in a crash."""

    def __init__(
        self, folder: Path, *, files: FileSystem | None = None, tail_bytes: int = 1 << 20
    ) -> None:
        self.stored = ListedRecords()
        self.clock = ManualClock()
        self.books = threading.RLock()
        self.files = files or RealFiles()
        self.folder = folder
        self._tail_bytes = tail_bytes
        self._cursors: list[DiskCursor] = []
        self._make = DiskCursors(self.books, tail_bytes)

    def cursor(self, settings: CursorSettings, expired: Callable[[int], None]) -> DiskCursor:
        place = FollowerPlace(self.files, self.folder, self.stored, self.clock)
        cursor = self._make(settings, expired, place)
        cursor.open()
        self._cursors.append(cursor)
        return cursor

    def append(self, payload: bytes, items: int = 1, signal: Signal = Signal.TRACES) -> int:
        entry = Entry(payload, signal, "test", items, None)
        record = Record(self.stored.end, self.clock.time_ns(), entry)
        self.stored.add(record)
        with self.books:
            for cursor in self._cursors:
                cursor.append(record)
        return record.position

    def crash(self) -> None:
        """The process is gone: nothing was closed, and nothing synced."""
        for cursor in self._cursors:
            cursor._log.close()  # the process's files go with it
        self._cursors = []
        self._make = DiskCursors(self.books, self._tail_bytes)


def traces(name: str = "tempo", max_backlog: int = 1 << 30, **other: bool) -> CursorSettings:
    return CursorSettings(name, Signal.TRACES, max_backlog, **other)


def positions(records: list[ReadRecord]) -> list[int]:
    return [record.position for record in records]


def drain(cursor: DiskCursor, max_bytes: int = 1 << 20) -> list[ReadRecord]:
    """Read and acknowledge all there is, as delivered."""
    found: list[ReadRecord] = []
    while records := cursor.read(max_bytes, 0):
        cursor.acknowledge(records, {"delivered": sum(record.items for record in records)})
        found += records
    return found
