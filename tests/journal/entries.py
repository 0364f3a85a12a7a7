"""What the tests of the journal put in, and how they see what comes out."""

from __future__ import annotations

import threading

import pytest

from spanmill.journal.log import Cursor, Entry, MemoryJournal, ReadRecord, Record, Signal

TIMEOUT = 20.0

Journal = MemoryJournal[None]


class Applied:
    """What a journal applied; can be told to wait, or to fail for a payload."""

    def __init__(self) -> None:
        self.records: list[Record[None]] = []
        self.threads: set[int] = set()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.entered = threading.Event()
        self.fails_on: bytes | None = None

    def __call__(self, record: Record[None]) -> None:
        self.entered.set()
        assert self.may_go_on.wait(TIMEOUT)
        self.threads.add(threading.get_ident())
        if record.entry.payload == self.fails_on:
            raise RuntimeError("this one can't be applied")
        self.records.append(record)

    @property
    def payloads(self) -> list[bytes]:
        return [record.entry.payload for record in self.records]


def entry(payload: bytes, items: int = 1) -> Entry[None]:
    return Entry(payload, Signal.TRACES, "test", items, None)


def nothing_expires(items: int) -> None:
    pytest.fail(f"{items} items expired")


def read_all(cursor: Cursor) -> list[ReadRecord]:
    records: list[ReadRecord] = []
    while some := cursor.read(1 << 30, 0):
        records += some
    return records
