"""A journal on a modelled file system, and what must hold whatever happens to it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from journal.modelled_files import ModelledFiles
from journal.on_disk import SaidFollower
from spanmill.errors import UnavailableError
from spanmill.journal.disk import DiskJournal, DiskSettings
from spanmill.journal.follower import FollowerPlace
from spanmill.journal.log import CursorSettings, Entry, Signal
from spanmill.journal.stored import StoredRecord
from spanmill.testing import ManualClock

FOLDER = Path("/state")
SEGMENT_BYTES = 40_000  # a footer's room is 32 KiB of them: some records each


def away(
    settings: CursorSettings, expired: Callable[[int], None], place: FollowerPlace
) -> SaidFollower:
    """A destination that answers for nothing."""
    return SaidFollower(settings, expired)


def journal_on(
    files: ModelledFiles,
    durability: Literal["synced", "written"] = "synced",
    clock: ManualClock | None = None,
    max_bytes: int = 1 << 30,
    folder: Path = FOLDER,
) -> DiskJournal[None]:
    salts = itertools.count(files.operations + 1)
    return DiskJournal(
        DiskSettings(folder, durability, max_bytes, 3600.0, SEGMENT_BYTES),
        clock or ManualClock(),
        threading.RLock(),
        away,
        version="1.0",
        files=files,
        random=lambda size: next(salts).to_bytes(size, "little"),
    )


@dataclass
class History:
    """What was submitted, in order, and what of it was acknowledged."""

    submitted: list[bytes] = field(default_factory=list)
    acknowledged: list[bytes] = field(default_factory=list)

    def submit(self, journal: DiskJournal[None], sizes: Sequence[int]) -> bool:
        """Submit a group of payloads of these sizes; whether it was taken."""
        entries = []
        for size in sizes:
            payload = b"%06d " % len(self.submitted)
            self.submitted.append(payload.ljust(size, b"."))
            entries.append(Entry(self.submitted[-1], Signal.TRACES, "test", 1, None))
        group = [journal.prepare(entry)[0] for entry in entries]
        try:
            journal.append(group)
        except UnavailableError:
            return False
        self.acknowledged += [entry.payload for entry in entries]
        return True

    def check(self, recovered: Sequence[StoredRecord], *, all_there: bool = True) -> None:
        """What was acknowledged is there; nothing twice, nothing new, and in order."""
        payloads = [record.payload for record in recovered]
        places = [self.submitted.index(payload) for payload in payloads if payload is not None]
        assert len(places) == len(payloads)
        assert places == sorted(set(places)), "each once, in order"
        positions = [record.position for record in recovered]
        assert positions == sorted(set(positions))
        if all_there:
            missing = [payload[:6] for payload in self.acknowledged if payload not in payloads]
            assert not missing, "acknowledged, and lost"


def recovered_from(journal: DiskJournal[None]) -> list[StoredRecord]:
    records: list[StoredRecord] = []
    journal.replay(-1, records.append)
    return records
