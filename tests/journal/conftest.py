"""A journal of a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from journal.entries import Journal
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
