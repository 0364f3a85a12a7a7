"""A journal on disk with destinations, which can be killed and opened again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from journal.entries import TIMEOUT
from spanmill.journal.cursor import DiskCursor
from spanmill.journal.cursors import DiskCursors
from spanmill.journal.disk import DiskJournal, DiskSettings
from spanmill.journal.log import CursorSettings, Entry, Record, Signal
from spanmill.testing import ManualClock


class Site:
    """One state directory, and the process that has it at the moment.

    `accepted` and `expired` are what a process counts; both are kept over a kill, as counters of
    a checkpoint and what is replayed after it are.
    """

    def __init__(
        self,
        directory: Path,
        *settings: CursorSettings,
        segment_bytes: int = 1 << 20,
        tail_bytes: int = 1 << 20,
        max_bytes: int = 1 << 30,
    ) -> None:
        self.clock = ManualClock()
        self.books = threading.RLock()
        self.settings = settings
        self._disk = DiskSettings(directory, "written", max_bytes, 48 * 3600.0, segment_bytes)
        self._tail_bytes = tail_bytes
        self.expired: dict[str, int] = dict.fromkeys((each.name for each in settings), 0)
        self.accepted = 0
        self.open()

    def open(self) -> None:
        self.journal: DiskJournal[None] = DiskJournal(
            self._disk,
            self.clock,
            self.books,
            DiskCursors(self.books, self._tail_bytes),
            version="test",
        )
        self.cursors: dict[str, DiskCursor] = {}
        for each in self.settings:
            cursor = self.journal.cursor(each, self._counts_expired(each.name))
            assert isinstance(cursor, DiskCursor)
            self.cursors[each.name] = cursor
        self.journal.open()
        self.journal.start(self._apply)
        assert self.journal.upkeep is not None
        self.journal.upkeep.close()  # its thread: `upkeep` does once what it does every second

    def submit(self, payload: bytes, items: int = 1, signal: Signal = Signal.TRACES) -> int:
        entry = Entry(payload, signal, "test", items, None)
        return self.journal.submit(entry).result(TIMEOUT).position

    def upkeep(self) -> None:
        """What the journal does about once a second."""
        assert self.journal.upkeep is not None
        self.journal.upkeep.step()

    def kill(self) -> None:
        """End the process as SIGKILL does: nothing is flushed, closed or synced."""
        journal = self.journal
        journal._commits.close()
        journal._unlock()
        for cursor in self.cursors.values():
            cursor._log.close()

    def close(self) -> None:
        self.journal.close()
        for cursor in self.cursors.values():
            cursor.close()
        self.journal.release()

    def _apply(self, record: Record[None]) -> None:
        if record.entry.signal is Signal.TRACES:
            self.accepted += record.entry.items

    def _counts_expired(self, name: str) -> Callable[[int], None]:
        def count(items: int) -> None:
            self.expired[name] += items

        return count
