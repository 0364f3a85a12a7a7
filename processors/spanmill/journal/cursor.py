"""A destination's cursor on disk: read from memory what is recent, from the segments the rest."""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from spanmill.errors import JournalError, StartError
from spanmill.journal.cursor_log import CursorEntry, CursorLog
from spanmill.journal.cursor_losses import CursorLosses, Loss
from spanmill.journal.cursor_opening import cursor_path, find_place
from spanmill.journal.cursor_position import CursorPosition
from spanmill.journal.cursor_reader import CursorReader, is_for
from spanmill.journal.follower import FollowerPlace
from spanmill.journal.log import CursorSettings, ReadRecord, Record
from spanmill.journal.tail import Tail

_log = logging.getLogger(__name__)

EXPIRED: Final = "expired"

_FAULT_PAUSE_SECONDS: Final = 1.0
_HEADERS_AT_ONCE: Final = 1024
_TOLD_EVERY_SECONDS: Final = 60.0


class DiskCursor:
    """One destination's position in the journal, which survives the process.

    Where it stands is appended to its file before any figure changes; what was read but not
    answered for is read once more after a restart. Memory: what was read and not answered for,
    besides a share of the tail; nothing for a record that waits. `books` is held while a figure
    changes together with the books' counters.

    A backlog over `max_backlog` is cut down by `sync`, outside the books: for a second more may
    wait, unless the destination is `required`, for which the journal then takes nothing.
    """

    def __init__(
        self,
        settings: CursorSettings,
        expired: Callable[[int], None],
        place: FollowerPlace,
        *,
        tail: Tail,
        books: AbstractContextManager[object],
    ) -> None:
        self.settings: Final = settings
        self.name: Final = settings.name
        self.outcomes: Counter[str] = Counter()
        self.created_ns = 0
        self.resumed = self.forgotten = False
        self.needs_from = 0
        self._expired = expired
        self._files = place.files
        self._stored = place.stored
        self._clock = place.clock
        self._tail = tail
        self._books = books
        self._log = CursorLog(place.files, cursor_path(place.folder, settings))
        self._reader = CursorReader(place.stored, tail, settings.signal)
        self._place = CursorPosition(0)
        self._end = 0  # records from here on have not been shown to us
        self._unread_items = self._unread_bytes = 0
        self._held_items = self._held_bytes = 0
        self._ready = threading.Condition()  # guards all of the above; taken under the books
        self._syncing = threading.Lock()  # whoever syncs or closes the file; taken before
        self._wanted_bytes = math.inf
        self._woken = self._closed = False
        self._fault: OSError | None = None  # why the latest entry isn't in the file
        self._unsynced = False
        self._distrusted = False  # the file is to be written anew
        self._losses = CursorLosses(settings, place.clock)
        self._unreadable_told_at = -math.inf

    @property
    def queued_items(self) -> int:
        """Items of the records that are neither acknowledged nor expired."""
        return self._unread_items + self._held_items

    @property
    def queued_bytes(self) -> int:
        """Payload bytes of the records that are neither acknowledged nor expired."""
        return self._unread_bytes + self._held_bytes

    def open(self) -> None:
        """Read where it stood; StartError where its file can't be read or written."""
        try:
            found = find_place(self._files, self._log.path, self.settings, self._stored)
            self.resumed, self.forgotten = found.resumed, found.forgotten
            self._place = found.position
            self._end = self._stored.end
            self.outcomes = Counter(found.outcomes)
            self.created_ns = found.created_ns or self._clock.time_ns()
            for begin, end in self._place.all_unread(self._end):
                waiting = self._stored.backlog(self.settings.signal, begin, end)
                self._unread_items += waiting.items
                self._unread_bytes += waiting.bytes
            self._rewrite()
        except OSError as error:
            raise StartError(
                f"can't use {self._log.path}: {error.strerror or error}; make it writable, or "
                f"move it away, and {self.name} begins with the records that come"
            ) from error
        self._tail.begin(self._end)
        self._tail.join(self.name, self._place.unread(self._end)[0])

    def append(self, record: Record[Any]) -> None:
        """A record was committed and applied; called in order, under the books."""
        entry = record.entry
        wanted = entry.signal is self.settings.signal and bool(entry.payload)
        wanted = wanted and not entry.duplicate
        if wanted:
            self._tail.append(
                ReadRecord(record.position, record.arrival_ns, entry.payload, entry.items)
            )
        with self._ready:
            if not wanted and self._place.has_read_all(self._end):
                self._place.skip(record.position + 1)
            self._end = record.position + 1
            if wanted:
                self._unread_items += entry.items
                self._unread_bytes += len(entry.payload)
            if self._unread_bytes >= self._wanted_bytes:  # waking a thread costs more than this
                self._wanted_bytes = math.inf
                self._ready.notify()

    def read(self, max_bytes: int, timeout: float, linger: float = 0.0) -> list[ReadRecord]:
        """The next records of at most `max_bytes` together, but at least one if there is one."""
        with self._ready:
            if self._wait_for(1, timeout):
                self._wait_for(max_bytes, linger)
            self._woken = False
            if self._closed or self._place.has_read_all(self._end):
                return []
            begin, end = self._place.unread(self._end)
        try:
            records, reached = self._reader.read(begin, end, max_bytes)
        except (OSError, JournalError) as error:
            self._rest_after(error)
            return []
        with self._ready:
            if self._closed:
                return []
            # What expired meanwhile is not ours any more.
            front, _ = self._place.unread(self._end)
            taken = [record for record in records if record.position >= front]
            if reached > front:
                self._place.read([record.position for record in taken], reached)
            self._move(taken)
            self._tail.passed(self.name, self._place.next)
            is_gone = self._is_gone()
        if is_gone:
            self._give_up_what_is_gone()
        return taken

    def acknowledge(self, records: Sequence[ReadRecord], outcomes: Mapping[str, int]) -> None:
        """These records were answered for; `outcomes` says what became of their items."""
        with self._ready:
            self._place.answered(record.position for record in records)
            self.outcomes.update(outcomes)
            self._write()
            for record in records:
                self._held_items -= record.items
                self._held_bytes -= len(record.payload)

    def restate(self, outcomes: Mapping[str, int], created_ns: int) -> None:
        """Replace the outcomes and their created stamp: the books were found to differ."""
        with self._ready:
            self.outcomes = Counter(outcomes)
            self.created_ns = created_ns
            self._write()

    def expire(self, below: int) -> None:
        """Give up what lies below this position and wasn't read; called under the books."""
        with self._ready:
            items = size = 0
            ranges = list(self._place.all_unread(min(below, self._end)))
            if not ranges:
                return
            for begin, end in ranges:
                waiting = self._stored.backlog(self.settings.signal, begin, end)
                items += waiting.items
                size += waiting.bytes
            self._give_up(below, items, size, Loss.RETENTION)

    def sync(self) -> None:
        """Cut the backlog to its bound, and make durable what was told; raises OSError."""
        self._cut_backlog()
        with self._syncing:
            with self._ready:
                if self._fault is not None or self._place.lowest != self.needs_from:
                    self._write()
                if self._fault is not None:
                    raise self._fault
                if not self._unsynced:
                    return
                entry = self._entry()
                is_long = self._log.is_long
            if not self._distrusted:
                self._distrusted = True  # once a sync failed, the next one may hide what is lost
                self._log.sync()
                self._distrusted = False
                self._synced(entry)
            if self._distrusted or is_long:
                self._rewrite()

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
        try:
            self.sync()
        except (OSError, JournalError) as error:
            _log.warning(
                "a destination's position could not be synced at the end",
                extra={"destination": self.name, "reason": str(error)},
            )
        with self._syncing, self._ready:
            self._log.close()  # a late acknowledgement opens it again

    def _wait_for(self, wanted: int, seconds: float) -> bool:
        """Wait until so many bytes are unread; whether they are, while it isn't closed."""
        if self._unread_bytes < wanted and seconds > 0 and not (self._closed or self._woken):
            self._wanted_bytes = wanted
            self._ready.wait(seconds)
            self._wanted_bytes = math.inf
        return self._unread_bytes >= wanted and not self._closed

    def _move(self, records: Sequence[ReadRecord]) -> None:
        """From what is unread to what is held."""
        items = sum(record.items for record in records)
        size = sum(len(record.payload) for record in records)
        # It may be an estimate, after the disk did not give what expired.
        self._unread_items -= min(items, self._unread_items)
        self._unread_bytes -= min(size, self._unread_bytes)
        self._held_items += items
        self._held_bytes += size

    def _cut_backlog(self) -> None:
        """Expire the oldest that wasn't read, as much as there is too much.

        The headers are read without a lock; then nobody waits but for the counting.
        """
        while not self.settings.required:
            with self._ready:
                over = self.queued_bytes - self.settings.max_backlog
                begin, end = self._place.unread(self._end)
            if over <= 0 or begin >= end:
                return
            below, items, size = self._oldest(begin, end, over)
            with self._books, self._ready:
                if self._place.unread(self._end)[0] == begin:  # or some were read meanwhile
                    self._give_up(below, items, size, Loss.BACKLOG)

    def _oldest(self, begin: int, end: int, enough: int) -> tuple[int, int, int]:
        """Where the oldest records of so many bytes end, their items and their bytes."""
        below, items, size = begin, 0, 0
        try:
            for seen, record in enumerate(self._stored.read(begin, payloads=False)):
                if record.position >= end:
                    return end, items, size
                if size >= enough or seen >= _HEADERS_AT_ONCE:
                    return below, items, size
                if is_for(record, self.settings.signal):
                    items += record.items
                    size += record.payload_bytes
                below = record.position + 1
        except (OSError, JournalError):
            if below > begin:  # the next turn begins with what can't be read
                return below, items, size
            reached = min(self._stored.segment_end(begin), end)
            lost = self._stored.backlog(self.settings.signal, begin, reached)
            return reached, lost.items, lost.bytes
        return end, items, size

    def _give_up(self, below: int, items: int, size: int, loss: Loss) -> None:
        """The unread records below this position expire; both locks are held."""
        self._place.skip(below)
        if self._place.has_read_all(self._end):  # what the journal lost besides goes with it
            items, size = self._unread_items, self._unread_bytes
        items, size = min(items, self._unread_items), min(size, self._unread_bytes)
        self._tail.passed(self.name, self._place.next)
        self.outcomes[EXPIRED] += items
        self._write()
        self._unread_items -= items
        self._unread_bytes -= size
        if items > 0:
            self._expired(items)
            self._losses.tell(loss, items, self.queued_bytes)

    def _is_gone(self) -> bool:
        """Whether records that were counted are not there: they were damaged, or removed."""
        return bool(self._unread_items or self._unread_bytes) and self._place.has_read_all(
            self._end
        )

    def _give_up_what_is_gone(self) -> None:
        with self._books, self._ready:
            if self._is_gone():
                self._give_up(self._place.next, 0, 0, Loss.DAMAGE)

    def _rest_after(self, error: Exception) -> None:
        """The disk doesn't give the records: they stay queued, and are asked for again."""
        now = self._clock.monotonic()
        if now - self._unreadable_told_at >= _TOLD_EVERY_SECONDS:
            self._unreadable_told_at = now
            _log.error(
                "records can't be read for a destination, they stay queued",
                extra={"destination": self.name, "reason": str(error)},
            )
        with self._ready:
            if not self._closed:
                self._ready.wait(_FAULT_PAUSE_SECONDS)

    def _entry(self) -> CursorEntry:
        outcomes = {name: count for name, count in self.outcomes.items() if count}
        return CursorEntry(self._place.next, self._place.unanswered, outcomes, self.created_ns)

    def _write(self) -> None:
        """Append where it stands; where that fails it is tried again by `sync`."""
        self._unsynced = True
        try:
            self._log.append(self._entry())
        except OSError as error:
            if self._fault is None:
                _log.error(
                    "a destination's position can't be written; if the process ends now, what "
                    "was sent since is sent again",
                    extra={"destination": self.name, "reason": str(error)},
                )
            self._fault = error
        else:
            self._fault = None

    def _rewrite(self) -> None:
        """Begin a new file; raises OSError, and the old one stays."""
        with self._ready:
            entry = self._entry()
        prepared = self._log.prepare(entry)
        with self._ready:
            entry = self._entry()
            self._log.switch(prepared, entry)
            self._fault = None
        self._log.sync()
        self._log.sync_name()
        self._distrusted = False
        self._synced(entry)

    def _synced(self, entry: CursorEntry) -> None:
        with self._ready:
            self.needs_from = entry.unanswered[0][0] if entry.unanswered else entry.next
            self._unsynced = self._entry() != entry
