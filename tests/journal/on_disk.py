"""A journal on the real disk, a destination that says how far it is, and where things are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spanmill.journal.disk import DiskJournal, DiskSettings
from spanmill.journal.follower import FollowerPlace
from spanmill.journal.log import CursorSettings, Entry, ReadRecord, Record, Signal
from spanmill.journal.stored import StoredRecord
from spanmill.testing import ManualClock

SEGMENT_BYTES = 64 * 1024  # 27 KiB of records: a footer's room is 32 KiB


class SaidFollower:
    """A destination that needs what the test says."""

    def __init__(self, settings: CursorSettings, expired: Callable[[int], None]) -> None:
        self.settings = settings
        self.name = settings.name
        self.outcomes: Mapping[str, int] = {}
        self.created_ns = 0
        self.resumed = self.forgotten = False
        self.queued_items = 0
        self.queued_bytes = 0
        self.needs_from = 0
        self.expired_below = 0

    def open(self) -> None: ...

    def append(self, record: Record[Any]) -> None:
        self.queued_bytes += len(record.entry.payload)

    def expire(self, below: int) -> None:
        self.expired_below = below

    def sync(self) -> None:
        self.needs_from = max(self.needs_from, self.expired_below)

    def read(self, max_bytes: int, timeout: float, linger: float = 0.0) -> list[ReadRecord]:
        return []

    def acknowledge(self, records: Sequence[ReadRecord], outcomes: Mapping[str, int]) -> None: ...

    def restate(self, outcomes: Mapping[str, int], created_ns: int) -> None: ...

    def wake(self) -> None: ...

    def close(self) -> None: ...


@dataclass
class Disk:
    """Makes journals in one directory, one after the other."""

    directory: Path
    clock: ManualClock
    durability: Literal["synced", "written"] = "synced"
    max_bytes: int = 1 << 30
    max_age: float = 3600.0

    def journal(self) -> DiskJournal[None]:
        def make(
            settings: CursorSettings, expired: Callable[[int], None], place: FollowerPlace
        ) -> SaidFollower:
            return SaidFollower(settings, expired)

        settings = DiskSettings(
            self.directory, self.durability, self.max_bytes, self.max_age, SEGMENT_BYTES
        )
        return DiskJournal(settings, self.clock, threading.RLock(), make, version="1.2.3")

    def opened(self) -> DiskJournal[None]:
        journal = self.journal()
        journal.open()
        return journal

    def segments(self) -> list[Path]:
        return sorted((self.directory / "journal").glob("0*.seg*"))


def write(journal: DiskJournal[None], payloads: Sequence[bytes], items: int = 1) -> None:
    """Commit these one by one, without threads."""
    for payload in payloads:
        entry = Entry(payload, Signal.TRACES, "test", items, None, {}, b"k" * 16)
        journal.append([journal.prepare(entry)[0]])


def step(journal: DiskJournal[None]) -> None:
    """Do once what the journal does beside committing."""
    assert journal.upkeep is not None
    journal.upkeep.step()


def leave(journal: DiskJournal[None]) -> None:
    """What is left when the process is killed: nothing is sealed or closed as it should."""
    journal._unlock()


def end(journal: DiskJournal[None]) -> None:
    """End as a process ends that is stopped."""
    journal.close()
    journal.release()


def replayed(journal: DiskJournal[None], after: int = -1) -> list[StoredRecord]:
    records: list[StoredRecord] = []
    journal.replay(after, records.append)
    return records


def numbered(count: int, size: int = 5000) -> list[bytes]:
    """Payloads that differ."""
    return [(b"%06d" % number).ljust(size, b".") for number in range(count)]
