"""Any journal: one order, one arrival clock, commits in groups."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from journal.entries import (
    TIMEOUT,
    Applied,
    Journal,
    entry,
    nothing_expires,
    read_all,
    submit_apart,
)
from spanmill.errors import UnavailableError
from spanmill.journal.cursors import DiskCursors
from spanmill.journal.disk import DiskJournal, DiskSettings
from spanmill.journal.log import CursorSettings, Entry, Record, Signal
from spanmill.journal.memory import MemoryJournal
from spanmill.testing import ManualClock
from waiting import Eventually


class _OpenedAtItsStart(DiskJournal[None]):
    def start(self, apply: Callable[[Record[None]], None]) -> None:
        self.open()
        super().start(apply)


@pytest.fixture(params=["memory", "synced", "written"])
def journal(
    request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path
) -> Iterator[Journal]:
    books = threading.RLock()
    if request.param == "memory":
        in_memory = MemoryJournal[None](clock, books)
        yield in_memory
        in_memory.close()
        return
    settings = DiskSettings(tmp_path / "state", request.param, 1 << 40, 1e9, 1 << 20)
    on_disk = _OpenedAtItsStart(settings, clock, books, DiskCursors(books), version="1")
    yield on_disk
    on_disk.close()
    on_disk.release()


def test_records_are_applied_once_in_the_order_of_submission(
    journal: Journal,
) -> None:
    applied = Applied()
    journal.start(applied)
    payloads = [b"%d" % n for n in range(200)]
    futures = [journal.submit(entry(payload)) for payload in payloads]
    records = [future.result(TIMEOUT) for future in futures]
    assert applied.payloads == payloads
    assert applied.records == records
    assert [record.position for record in records] == list(range(200))


def test_who_submits_to_an_idle_journal_commits_itself(journal: Journal) -> None:
    applied = Applied()
    journal.start(applied)
    assert all(journal.submit(entry(b"%d" % n)).done() for n in range(100))
    assert applied.threads == {threading.get_ident()}


def test_who_commits_takes_what_waits_at_the_beginning_and_no_more(journal: Journal) -> None:
    applied = Applied()
    applied.may_go_on.clear()
    journal.start(applied)
    first = submit_apart(journal, entry(b"first"))
    assert applied.entered.wait(TIMEOUT)
    others = [journal.submit(entry(b"%d" % n)) for n in range(3)]
    applied.may_go_on.set()
    first.result(TIMEOUT)
    assert [other.result(TIMEOUT).position for other in others] == [1, 2, 3]
    assert len(applied.threads) == 2


def test_records_are_never_applied_at_once(journal: Journal) -> None:
    under_way = [0]
    most = [0]

    def apply(record: Record[None]) -> None:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        sum(range(1000))  # long enough for others to come
        under_way[0] -= 1

    journal.start(apply)
    futures = [submit_apart(journal, entry(b"%d" % n)) for n in range(200)]
    positions = {future.result(TIMEOUT).position for future in futures}
    assert positions == set(range(200))
    assert most == [1]


def test_many_submitters_share_one_order_and_each_keeps_its_own(journal: Journal) -> None:
    applied = Applied()
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, 1 << 30), nothing_expires)
    journal.start(applied)

    def submit(letter: bytes) -> None:
        for n in range(100):
            journal.submit(entry(b"%s%03d" % (letter, n))).result(TIMEOUT)

    threads = [threading.Thread(target=submit, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert [record.payload for record in read_all(cursor)] == applied.payloads
    assert len(applied.payloads) == 300
    for letter in (b"a", b"b", b"c"):
        own = [payload for payload in applied.payloads if payload.startswith(letter)]
        assert own == sorted(own)


def test_what_waits_while_a_record_is_applied_is_committed_as_one_group(
    journal: Journal,
) -> None:
    applied = Applied()
    applied.may_go_on.clear()
    journal.start(applied)
    first = submit_apart(journal, entry(b"first"))
    assert applied.entered.wait(TIMEOUT)
    others = [journal.submit(entry(b"%d" % n)) for n in range(50)]
    assert not first.done()
    assert not any(future.done() for future in others)
    applied.may_go_on.set()
    assert [future.result(TIMEOUT).position for future in others] == list(range(1, 51))


def test_the_future_ends_only_after_the_record_was_applied(journal: Journal) -> None:
    applied = Applied()
    journal.start(applied)
    for n in range(100):
        record = journal.submit(entry(b"%d" % n)).result(TIMEOUT)
        assert applied.records[-1] is record


def test_a_record_that_cannot_be_applied_is_committed_all_the_same_and_goes_on(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    applied = Applied()
    applied.fails_on = b"bad"
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, 1 << 30), nothing_expires)
    journal.start(applied)
    futures = [journal.submit(entry(payload)) for payload in (b"before", b"bad", b"after")]
    assert [future.result(TIMEOUT).position for future in futures] == [0, 1, 2]
    assert applied.payloads == [b"before", b"after"]
    assert [record.payload for record in read_all(cursor)] == [b"before", b"bad", b"after"]
    (told,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert told.__dict__["position"] == 1


def test_a_submission_cancelled_before_its_turn_is_left_out_and_the_journal_goes_on(
    journal: Journal,
) -> None:
    applied = Applied()
    applied.may_go_on.clear()
    journal.start(applied)
    submit_apart(journal, entry(b"first"))
    assert applied.entered.wait(TIMEOUT)
    cancelled = journal.submit(entry(b"cancelled"))
    assert cancelled.cancel()
    last = journal.submit(entry(b"last"))
    applied.may_go_on.set()
    assert last.result(TIMEOUT).position == 1
    assert applied.payloads == [b"first", b"last"]
    with pytest.raises(CancelledError):
        cancelled.result(TIMEOUT)


def test_a_submission_whose_turn_has_come_cannot_be_cancelled(journal: Journal) -> None:
    applied = Applied()
    applied.may_go_on.clear()
    journal.start(applied)
    submit_apart(journal, entry(b"first"))
    assert applied.entered.wait(TIMEOUT)
    applied.entered.clear()
    future = journal.submit(entry(b"x"))
    applied.let_one_go()
    assert applied.entered.wait(TIMEOUT)
    assert not future.cancel()
    applied.may_go_on.set()
    assert future.result(TIMEOUT).position == 1


def test_closing_applies_what_was_submitted_and_refuses_the_rest(journal: Journal) -> None:
    applied = Applied()
    applied.may_go_on.clear()
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, 1 << 30), nothing_expires)
    journal.start(applied)
    first = submit_apart(journal, entry(b"first"))
    assert applied.entered.wait(TIMEOUT)
    futures = [journal.submit(entry(b"%d" % n)) for n in range(20)]
    closing = threading.Thread(target=journal.close)
    closing.start()
    applied.may_go_on.set()
    closing.join(TIMEOUT)
    assert first.result(TIMEOUT).position == 0
    assert all(future.done() for future in futures)
    with pytest.raises(UnavailableError, match="shutting down") as refusal:
        journal.submit(entry(b"late")).result(TIMEOUT)
    assert refusal.value.retry_after > 0
    assert len(read_all(cursor)) == 21
    journal.close()


def test_a_journal_closed_before_it_started_refuses_what_was_submitted(
    journal: Journal,
) -> None:
    future = journal.submit(entry(b"x"))
    journal.close()
    with pytest.raises(UnavailableError, match="shutting down"):
        future.result(TIMEOUT)


def test_arrival_stands_still_over_a_small_step_back_and_follows_a_large_one(
    journal: Journal, clock: ManualClock
) -> None:
    journal.start(Applied())
    arrivals = []
    for step in (0.0, 5.0, -1.5, 1.0, 0.5, 1.0, -3600.0, 3600.0):
        clock.step(step)
        arrivals.append(journal.submit(entry(b"x")).result(TIMEOUT).arrival_ns)
    start = 10**18
    second = 10**9
    later = [5, 5, 5, 5, 6, 6 - 3600, 6]
    assert arrivals == [start, *(start + seconds * second for seconds in later)]


def test_the_books_are_held_while_a_record_is_applied_and_shown_to_the_cursors() -> None:
    held: list[bool] = []

    class Books:
        depth = 0

        def __enter__(self) -> None:
            self.depth += 1

        def __exit__(self, *_: object) -> None:
            self.depth -= 1

    books = Books()
    journal = MemoryJournal[None](ManualClock(), books)
    journal.cursor(
        CursorSettings("a", Signal.TRACES, 10), lambda items: held.append(books.depth == 1)
    )
    journal.start(lambda record: held.append(books.depth == 1))
    journal.submit(entry(b"longer than the queue")).result(TIMEOUT)
    journal.close()
    assert held == [True, True]
    assert books.depth == 0


def test_an_idle_journal_keeps_nothing_of_what_it_applied(
    journal: Journal, eventually: Eventually
) -> None:
    journal.start(lambda record: None)
    tracemalloc.start()
    try:
        journal.submit(entry(bytes(10_000_000))).result(TIMEOUT)
        eventually(
            lambda: tracemalloc.get_traced_memory()[0] < 1_000_000, "the payload is forgotten"
        )
    finally:
        tracemalloc.stop()


def test_a_tick_has_a_position_but_reaches_no_destination(journal: Journal) -> None:
    applied = Applied()
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, 1 << 30), nothing_expires)
    journal.start(applied)
    journal.submit(Entry(b"", Signal.TICK, "", 0, None))
    journal.submit(entry(b"x")).result(TIMEOUT)
    assert [record.entry.signal for record in applied.records] == [Signal.TICK, Signal.TRACES]
    assert [record.position for record in read_all(cursor)] == [1]
