"""A journal of a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from journal.entries import Journal
from journal.on_disk import Disk
from spanmill.journal.memory import MemoryJournal
from spanmill.testing import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def journal(clock: ManualClock) -> Iterator[Journal]:
    journal = MemoryJournal[None](clock, threading.RLock())
    yield journal
    journal.close()


@pytest.fixture
def disk(tmp_path: Path, clock: ManualClock) -> Disk:
    return Disk(tmp_path / "state", clock)
