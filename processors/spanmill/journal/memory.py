"""A journal in memory: what it acknowledges is lost when the process ends."""

from __future__ import annotations

import math
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Final, Generic

from spanmill.clock import Clock
from spanmill.journal.arrival import ArrivalClock
from spanmill.journal.group_commit import GroupCommit
from spanmill.journal.log import (
    Cursor,
    CursorSettings,
    Decoded,
    Entry,
    ReadRecord,
    Record,
)
from spanmill.journal.tail import RECORD_OVERHEAD


class MemoryJournal(Generic[Decoded]):
    """A journal that keeps its records in memory until every cursor has answered for them.

    What it acknowledges is lost when the process ends. `books` is held while a record is
    applied and shown to the cursors, and is to be held by whoever changes or reads figures that
    must agree with each other (the books of docs/architecture.md).
    """

    def __init__(self, clock: Clock, books: AbstractContextManager[object]) -> None:
        self._arrival = ArrivalClock(clock)
        self._next_position = 0
        self._commits: GroupCommit[Decoded, Entry[Decoded]] = GroupCommit(self, books, sys.maxsize)

    def cursor(self, settings: CursorSettings, expired: Callable[[int], None]) -> Cursor:
        """A reader of all records of a signal from now on; call it before `start`."""
        cursor = _MemoryCursor(settings, expired)
        self._commits.followers.append(cursor)
        return cursor

    def open(self) -> None:
        """Nothing is there to be opened."""

    def start(self, apply: Callable[[Record[Decoded]], None]) -> None:
        """Begin to commit. `apply` sees every record once, in order, one at a time."""
        self._commits.start(apply)

    def submit(self, entry: Entry[Decoded]) -> Future[Record[Decoded]]:
        """Queue an entry; the future ends once it is committed and applied."""
        return self._commits.submit(entry)

    def close(self) -> None:
        """Commit and apply what was submitted, then refuse the rest. Cursors read on."""
        self._commits.close()

    def prepare(self, entry: Entry[Decoded]) -> tuple[Entry[Decoded], int]:
        """See `group_commit.Log`."""
        return entry, 0

    def append(self, group: Sequence[Entry[Decoded]]) -> Sequence[Record[Decoded]]:
        """See `group_commit.Log`."""
        first = self._next_position
        self._next_position += len(group)
        return [
            Record(position, self._arrival.now(), entry)
            for position, entry in enumerate(group, first)
        ]


class _MemoryCursor:
    """A bounded queue of records that one destination reads.

    The bound counts `RECORD_OVERHEAD` for each record but one on top of its payload: a flood
    of tiny requests must not take many times the memory that was allowed.
    """

    def __init__(self, settings: CursorSettings, expired: Callable[[int], None]) -> None:
        self.name: Final = settings.name
        self.outcomes: Counter[str] = Counter()
        self.created_ns = 0
        self.resumed = self.forgotten = False
        self._signal = settings.signal
        self._max_bytes = settings.max_backlog
        self._expired = expired
        self._unread: deque[ReadRecord] = deque()
        self._ready = threading.Condition()
        self._wanted_bytes = math.inf
        self._unread_bytes = 0
        self._woken = False
        self._closed = False
        self._queued_records = 0
        self.queued_items = 0
        self.queued_bytes = 0

    def append(self, record: Record[Decoded]) -> None:
        """Take a record in, and give up the oldest ones where there is no room for it."""
        entry = record.entry
        if entry.signal is not self._signal or not entry.payload:
            return
        with self._ready:
            self._unread.append(
                ReadRecord(record.position, record.arrival_ns, entry.payload, entry.items)
            )
            self._unread_bytes += len(entry.payload)
            self._queued_records += 1
            self.queued_items += entry.items
            self.queued_bytes += len(entry.payload)
            given_up = 0
            while self._overflows() and self._unread:
                oldest = self._unread.popleft()
                self._unread_bytes -= len(oldest.payload)
                self._forget(oldest)
                given_up += oldest.items
            # Waking a thread costs more than the rest of this.
            if self._unread_bytes >= self._wanted_bytes:
                self._wanted_bytes = math.inf
                self._ready.notify()
        if given_up:
            self._expired(given_up)

    def read(self, max_bytes: int, timeout: float, linger: float = 0.0) -> list[ReadRecord]:
        """The next records of at most `max_bytes` together, but at least one if there is one."""
        records: list[ReadRecord] = []
        with self._ready:
            if self._wait_for(1, timeout):
                self._wait_for(max_bytes, linger)
            self._woken = False
            if self._closed:
                return records
            total = 0
            while self._unread and (
                not records or total + len(self._unread[0].payload) <= max_bytes
            ):
                record = self._unread.popleft()
                total += len(record.payload)
                records.append(record)
            self._unread_bytes -= total
        return records

    def acknowledge(self, records: Sequence[ReadRecord], outcomes: Mapping[str, int]) -> None:
        """These records were answered for; `outcomes` says what became of their items."""
        with self._ready:
            self.outcomes.update(outcomes)
            for record in records:
                self._forget(record)

    def restate(self, outcomes: Mapping[str, int], created_ns: int) -> None:
        """Replace what `outcomes` and `created_ns` are; before anything was read."""
        with self._ready:
            self.outcomes = Counter(outcomes)
            self.created_ns = created_ns

    def wake(self) -> None:
        """End a `read` that waits, or else the next one, without waiting any longer."""
        with self._ready:
            self._woken = True
            self._ready.notify_all()

    def close(self) -> None:
        """Read no more: a waiting `read` returns at once, with nothing."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def _wait_for(self, wanted: int, seconds: float) -> bool:
        """Wait until so many bytes are unread; whether they are, while it isn't closed."""
        if self._unread_bytes < wanted and seconds > 0 and not (self._closed or self._woken):
            self._wanted_bytes = wanted
            self._ready.wait(seconds)
            self._wanted_bytes = math.inf
        return self._unread_bytes >= wanted and not self._closed

    def _overflows(self) -> bool:
        held = self.queued_bytes + self._queued_records * RECORD_OVERHEAD
        return held > self._max_bytes + RECORD_OVERHEAD

    def _forget(self, record: ReadRecord) -> None:
        self._queued_records -= 1
        self.queued_items -= record.items
        self.queued_bytes -= len(record.payload)
