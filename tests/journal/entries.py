"""What the tests of the journal put in, and how they see what comes out."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from spanmill.journal import log
from spanmill.journal.log import Cursor, Entry, ReadRecord, Record, Signal

TIMEOUT = 20.0

Journal = log.Journal[None]


class Applied:
    """What a journal applied; can be told to wait, or to fail for a payload."""

    def __init__(self) -> None:
        self.records: list[Record[None]] = []
        self.threads: set[int] = set()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._one = threading.Event()
        self.entered = threading.Event()
        self.fails_on: bytes | None = None

    def __call__(self, record: Record[None]) -> None:
        self.entered.set()
        while not self.may_go_on.wait(0.001):
            if self._one.is_set():
                self._one.clear()
                break
        self.threads.add(threading.get_ident())
        if record.entry.payload == self.fails_on:
            raise RuntimeError("this one can't be applied")
        self.records.append(record)

    def let_one_go(self) -> None:
        self._one.set()

    @property
    def payloads(self) -> list[bytes]:
        return [record.entry.payload for record in self.records]


def entry(payload: bytes, items: int = 1) -> Entry[None]:
    return Entry(payload, Signal.TRACES, "test", items, None)


def submit_apart(journal: Journal, given: Entry[None]) -> Future[Record[None]]:
    """Submit in a thread of its own, which may have to apply the record itself.

    The future ends when the record's own does.
    """
    outer: Future[Record[None]] = Future()

    def submit() -> None:
        try:
            outer.set_result(journal.submit(given).result(TIMEOUT))
        except Exception as error:  # noqa: BLE001 - the test looks at it
            outer.set_exception(error)

    threading.Thread(target=submit, daemon=True).start()
    return outer


def nothing_expires(items: int) -> None:
    pytest.fail(f"{items} items expired")


def read_all(cursor: Cursor) -> list[ReadRecord]:
    records: list[ReadRecord] = []
    while some := cursor.read(1 << 30, 0):
        records += some
    return records
