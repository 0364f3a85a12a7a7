"""The journal: records in one order, and a cursor for each destination that reads them.

`submit` is the only way in, shared by every receiver; what was submitted is committed in
groups by one thread at a time, applied in journal order, and only then answered. This journal
keeps its records in memory; one on disk stands behind the same protocol.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from spanmill.clock import Clock
from spanmill.errors import UnavailableError

_log = logging.getLogger(__name__)


class Signal(Enum):
    """What a record carries."""

    TRACES = "traces"
    METRICS = "metrics"
    TICK = "tick"


Decoded = TypeVar("Decoded")
RETRY_AFTER_SECONDS = 1.0
_RECORD_OVERHEAD = 200  # bytes that a queued record takes beside its payload; measured: 175


@dataclass(frozen=True, slots=True)
class Entry(Generic[Decoded]):
    """What a receiver submits: the bytes, where they came from, and what they decode to.

    `items` is the number of spans or metric points in `payload`. `decoded` spares the one who
    applies the record a second decoding; it is never written anywhere.
    """

    payload: bytes
    signal: Signal
    source: str
    items: int
    decoded: Decoded


@dataclass(frozen=True, slots=True)
class Record(Generic[Decoded]):
    """A committed entry: its position (from 0, without gaps) and its arrival time.

    `arrival_ns` never falls from one record to the next: it is the clock of whatever is
    derived from the journal.
    """

    position: int
    arrival_ns: int
    entry: Entry[Decoded]


class Journal(Protocol[Decoded]):
    """Commits entries in one order."""

    def submit(self, entry: Entry[Decoded]) -> Future[Record[Decoded]]:
        """Queue an entry; the future ends once it is committed and applied.

        A journal may do that in the calling thread: then the future has ended on return. The
        future raises UnavailableError where the journal is closed. Cancelled before its turn,
        the entry is left out; afterwards it can't be cancelled.
        """
        ...

    def cursor(
        self, name: str, signal: Signal, max_bytes: int, expired: Callable[[int], None]
    ) -> Cursor:
        """A reader of all records of a signal from now on; call it before `start`.

        While what it has not acknowledged takes more than `max_bytes`, its oldest records that
        were not yet read are given up, and `expired` gets the number of their items; so a record
        that doesn't fit beside those that were read is given up itself.
        """
        ...

    def start(self, apply: Callable[[Record[Decoded]], None]) -> None:
        """Begin to commit. `apply` sees every record once, in order, one at a time.

        It may be called from any thread that submits; what one call did is seen by the next.
        """
        ...

    def close(self) -> None:
        """Commit and apply what was submitted, then refuse the rest. Cursors read on."""
        ...


class Cursor(Protocol):
    """One destination's position in the journal."""

    @property
    def name(self) -> str:
        """The destination's name."""
        ...

    @property
    def queued_items(self) -> int:
        """Items of the records that are neither acknowledged nor expired."""
        ...

    @property
    def queued_bytes(self) -> int:
        """Payload bytes of the records that are neither acknowledged nor expired."""
        ...

    def read(self, max_bytes: int, timeout: float, linger: float = 0.0) -> list[ReadRecord]:
        """The next records of at most `max_bytes` together, but at least one if there is one.

        Waits up to `timeout` seconds for a first one, and then up to `linger` seconds for as
        many as `max_bytes` holds. An empty list means that none came. For one thread at a time.
        """
        ...

    def acknowledge(self, records: Sequence[ReadRecord]) -> None:
        """These records were answered for: delivered, rejected or given up.

        In any order: what is read again after a restart begins at the lowest position that was
        not acknowledged.
        """
        ...

    def wake(self) -> None:
        """End a `read` that waits, or else the next one, without waiting any longer."""
        ...

    def close(self) -> None:
        """Read no more: a waiting `read` returns at once, with nothing."""
        ...


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """What a destination gets to see of a record."""

    position: int
    arrival_ns: int
    payload: bytes
    items: int


class MemoryJournal(Generic[Decoded]):
    """A journal that keeps its records in memory until every cursor has answered for them.

    What it acknowledges is lost when the process ends. `books` is held while a record is
    applied and shown to the cursors, and is to be held by whoever changes or reads figures that
    must agree with each other (the books of docs/architecture.md).

    Whoever submits while nobody commits does so itself, which saves waking two threads a
    request. It commits one group, all that waits at that moment, so that nobody answers late
    because of the others; what came meanwhile is left to a thread that does nothing else.
    """

    def __init__(self, clock: Clock, books: AbstractContextManager[object]) -> None:
        self._clock = clock
        self._books = books
        self._pending: deque[tuple[Entry[Decoded], Future[Record[Decoded]]]] = deque()
        self._changed = threading.Condition()
        self._apply: Callable[[Record[Decoded]], None] | None = None
        self._committing = False
        self._closed = False
        self._cursors: list[_MemoryCursor] = []
        self._next_position = 0
        self._last_arrival_ns = 0
        self._thread: threading.Thread | None = None

    def cursor(
        self, name: str, signal: Signal, max_bytes: int, expired: Callable[[int], None]
    ) -> Cursor:
        """A reader of all records of a signal from now on; call it before `start`."""
        cursor = _MemoryCursor(name, signal, max_bytes, expired)
        self._cursors.append(cursor)
        return cursor

    def start(self, apply: Callable[[Record[Decoded]], None]) -> None:
        """Begin to commit. `apply` sees every record once, in order, one at a time."""
        self._thread = threading.Thread(target=self._commit, name="journal-commit", daemon=True)
        with self._changed:
            self._apply = apply
        self._thread.start()

    def submit(self, entry: Entry[Decoded]) -> Future[Record[Decoded]]:
        """Queue an entry; the future ends once it is committed and applied."""
        future: Future[Record[Decoded]] = Future()
        with self._changed:
            if self._closed:
                future.set_exception(_shutting_down())
                return future
            self._pending.append((entry, future))
            if self._committing or self._apply is None:
                return future
            group = self._take_group()
        self._commit_group(group)
        return future

    def close(self) -> None:
        """Commit and apply what was submitted, then refuse the rest. Cursors read on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        for _, future in self._pending:  # the journal was never started
            if future.set_running_or_notify_cancel():
                future.set_exception(_shutting_down())
        self._pending.clear()

    def _commit(self) -> None:
        """Commit what was submitted while somebody else did."""
        while True:
            with self._changed:
                while self._committing or not (self._pending or self._closed):
                    self._changed.wait()
                if not self._pending:
                    return
                group = self._take_group()
            self._commit_group(group)
            del group  # or an idle journal would keep the last requests in memory

    def _take_group(self) -> list[tuple[Entry[Decoded], Future[Record[Decoded]]]]:
        """All that waits, for whoever holds the lock to commit, and nobody else meanwhile."""
        self._committing = True
        group = list(self._pending)
        self._pending.clear()
        return group

    def _commit_group(
        self, group: Sequence[tuple[Entry[Decoded], Future[Record[Decoded]]]]
    ) -> None:
        assert self._apply is not None, "it was started"
        try:
            for entry, future in group:
                # A caller that gave up may have cancelled; from here on it can't.
                if not future.set_running_or_notify_cancel():
                    continue
                record = self._append(entry)
                try:
                    with self._books:
                        self._apply(record)
                        for cursor in self._cursors:
                            cursor.append(record)
                except Exception as error:  # noqa: BLE001 - every receiver waits for this
                    _log.exception("a record could not be applied")
                    future.set_exception(error)
                else:
                    future.set_result(record)
        finally:
            with self._changed:
                self._committing = False
                if self._pending or self._closed:
                    self._changed.notify_all()

    def _append(self, entry: Entry[Decoded]) -> Record[Decoded]:
        self._last_arrival_ns = max(self._last_arrival_ns, self._clock.time_ns())
        record = Record(self._next_position, self._last_arrival_ns, entry)
        self._next_position += 1
        return record


def _shutting_down() -> UnavailableError:
    return UnavailableError("the process is shutting down", RETRY_AFTER_SECONDS)


class _MemoryCursor:
    """A bounded queue of records that one destination reads.

    The bound counts `_RECORD_OVERHEAD` for each record but one on top of its payload: a flood
    of tiny requests must not take many times the memory that was allowed.
    """

    def __init__(
        self, name: str, signal: Signal, max_bytes: int, expired: Callable[[int], None]
    ) -> None:
        self.name = name
        self._signal = signal
        self._max_bytes = max_bytes
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

    def acknowledge(self, records: Sequence[ReadRecord]) -> None:
        """These records were answered for: delivered, rejected or given up."""
        with self._ready:
            for record in records:
                self._forget(record)

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
        held = self.queued_bytes + self._queued_records * _RECORD_OVERHEAD
        return held > self._max_bytes + _RECORD_OVERHEAD

    def _forget(self, record: ReadRecord) -> None:
        self._queued_records -= 1
        self.queued_items -= record.items
        self.queued_bytes -= len(record.payload)
