"""The journal in memory: one order, one arrival clock, bounded cursors."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanmill.errors import UnavailableError
from spanmill.journal.log import Cursor, Entry, MemoryJournal, ReadRecord, Record, Signal
from spanmill.testing import ManualClock
from waiting import Eventually

TIMEOUT = 20.0
OVERHEAD = 200  # what a record may take beside its payload

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


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def journal(clock: ManualClock) -> Iterator[Journal]:
    journal = Journal(clock, threading.RLock())
    yield journal
    journal.close()


def read_all(cursor: Cursor) -> list[ReadRecord]:
    records: list[ReadRecord] = []
    while some := cursor.read(1 << 30, 0):
        records += some
    return records


def test_records_are_applied_once_in_the_order_of_submission_on_one_thread(
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
    assert len(applied.threads) == 1


def test_many_submitters_share_one_order_and_each_keeps_its_own(journal: Journal) -> None:
    applied = Applied()
    cursor = journal.cursor("a", 1 << 30, nothing_expires)
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
    first = journal.submit(entry(b"first"))
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


def test_a_record_that_cannot_be_applied_fails_alone_and_reaches_no_destination(
    journal: Journal,
) -> None:
    applied = Applied()
    applied.fails_on = b"bad"
    cursor = journal.cursor("a", 1 << 30, nothing_expires)
    journal.start(applied)
    before, bad, after = (journal.submit(entry(p)) for p in (b"before", b"bad", b"after"))
    assert before.result(TIMEOUT).position == 0
    with pytest.raises(RuntimeError, match="can't be applied"):
        bad.result(TIMEOUT)
    assert after.result(TIMEOUT).position == 2
    assert [record.payload for record in read_all(cursor)] == [b"before", b"after"]


def test_a_submission_cancelled_before_its_turn_is_left_out_and_the_journal_goes_on(
    journal: Journal,
) -> None:
    applied = Applied()
    applied.may_go_on.clear()
    journal.start(applied)
    journal.submit(entry(b"first"))
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
    future = journal.submit(entry(b"x"))
    assert applied.entered.wait(TIMEOUT)
    assert not future.cancel()
    applied.may_go_on.set()
    assert future.result(TIMEOUT).position == 0


def test_closing_applies_what_was_submitted_and_refuses_the_rest(journal: Journal) -> None:
    applied = Applied()
    applied.may_go_on.clear()
    cursor = journal.cursor("a", 1 << 30, nothing_expires)
    journal.start(applied)
    futures = [journal.submit(entry(b"%d" % n)) for n in range(20)]
    closing = threading.Thread(target=journal.close)
    closing.start()
    applied.may_go_on.set()
    closing.join(TIMEOUT)
    assert all(future.done() for future in futures)
    with pytest.raises(UnavailableError, match="shutting down") as refusal:
        journal.submit(entry(b"late")).result(TIMEOUT)
    assert refusal.value.retry_after > 0
    assert len(read_all(cursor)) == 20
    journal.close()


def test_a_journal_closed_before_it_started_refuses_what_was_submitted(
    journal: Journal,
) -> None:
    future = journal.submit(entry(b"x"))
    journal.close()
    with pytest.raises(UnavailableError, match="shutting down"):
        future.result(TIMEOUT)


def test_arrival_never_falls_when_the_clock_steps_back(
    journal: Journal, clock: ManualClock
) -> None:
    journal.start(Applied())
    arrivals = []
    for step in (0.0, 1.0, -3600.0, 0.5, 3600.0, -1.0):
        clock.step(step)
        arrivals.append(journal.submit(entry(b"x")).result(TIMEOUT).arrival_ns)
    start = 10**18
    second = 10**9
    assert arrivals == [start, *[start + second] * 3, *[start + second * 3 // 2] * 2]


def test_the_books_are_held_while_a_record_is_applied_and_shown_to_the_cursors() -> None:
    held: list[bool] = []

    class Books:
        depth = 0

        def __enter__(self) -> None:
            self.depth += 1

        def __exit__(self, *_: object) -> None:
            self.depth -= 1

    books = Books()
    journal = Journal(ManualClock(), books)
    journal.cursor("a", 10, lambda items: held.append(books.depth == 1))
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
    cursor = journal.cursor("a", 1 << 30, nothing_expires)
    journal.start(applied)
    journal.submit(Entry(b"", Signal.TICK, "", 0, None))
    journal.submit(entry(b"x")).result(TIMEOUT)
    assert [record.entry.signal for record in applied.records] == [Signal.TICK, Signal.TRACES]
    assert [record.position for record in read_all(cursor)] == [1]


def test_every_cursor_reads_every_record_at_its_own_pace(journal: Journal) -> None:
    fast = journal.cursor("fast", 1 << 30, nothing_expires)
    slow = journal.cursor("slow", 1 << 30, nothing_expires)
    journal.start(Applied())
    journal.submit(entry(b"a", 2)).result(TIMEOUT)
    fast.acknowledge(read_all(fast))
    journal.submit(entry(b"bc", 3)).result(TIMEOUT)
    assert (fast.name, fast.queued_items, fast.queued_bytes) == ("fast", 3, 2)
    assert (slow.name, slow.queued_items, slow.queued_bytes) == ("slow", 5, 3)
    assert [(r.position, r.payload, r.items) for r in slow.read(100, 0)] == [
        (0, b"a", 2),
        (1, b"bc", 3),
    ]


def test_a_cursor_reads_up_to_a_size_but_at_least_one_record(journal: Journal) -> None:
    cursor = journal.cursor("a", 1 << 30, nothing_expires)
    journal.start(Applied())
    for size in (3, 4, 4, 20, 1):
        journal.submit(entry(b"x" * size)).result(TIMEOUT)
    sizes = []
    while records := cursor.read(8, 0):
        sizes.append([len(record.payload) for record in records])
    assert sizes == [[3, 4], [4], [20], [1]]


def test_what_was_read_stays_queued_until_it_is_acknowledged(journal: Journal) -> None:
    cursor = journal.cursor("a", 1 << 30, nothing_expires)
    journal.start(Applied())
    for n in range(3):
        journal.submit(entry(b"xy", n)).result(TIMEOUT)
    records = read_all(cursor)
    assert (cursor.queued_items, cursor.queued_bytes) == (3, 6)
    cursor.acknowledge(records[1:])
    assert (cursor.queued_items, cursor.queued_bytes) == (0, 2)
    cursor.acknowledge(records[:1])
    assert (cursor.queued_items, cursor.queued_bytes) == (0, 0)


def test_a_waiting_read_returns_when_a_record_comes(journal: Journal) -> None:
    cursor = journal.cursor("a", 1 << 30, nothing_expires)
    journal.start(Applied())
    got: list[ReadRecord] = []
    reader = threading.Thread(target=lambda: got.extend(cursor.read(100, TIMEOUT)))
    reader.start()
    journal.submit(entry(b"x"))
    reader.join(TIMEOUT)
    assert [record.payload for record in got] == [b"x"]


def test_closing_a_cursor_ends_a_waiting_read_with_nothing(journal: Journal) -> None:
    cursor = journal.cursor("a", 1 << 30, nothing_expires)
    got: list[list[ReadRecord]] = []
    reader = threading.Thread(target=lambda: got.append(cursor.read(100, TIMEOUT)))
    reader.start()
    cursor.close()
    reader.join(TIMEOUT)
    assert got == [[]]


def test_a_full_queue_gives_up_its_oldest_unread_records(journal: Journal) -> None:
    expired: list[int] = []
    cursor = journal.cursor("a", 3 * 1000 + 2 * OVERHEAD, expired.append)
    journal.start(Applied())
    for items in (1, 2, 4, 8, 16):
        journal.submit(entry(bytes(1000), items)).result(TIMEOUT)
    assert expired == [1, 2]
    assert [record.items for record in read_all(cursor)] == [4, 8, 16]


def test_a_full_queue_never_takes_back_what_was_read(journal: Journal) -> None:
    expired: list[int] = []
    cursor = journal.cursor("a", 2 * 1000 + OVERHEAD, expired.append)
    journal.start(Applied())
    journal.submit(entry(bytes(1000), 1)).result(TIMEOUT)
    read = cursor.read(1000, 0)
    for items in (2, 4):
        journal.submit(entry(bytes(1000), items)).result(TIMEOUT)
    assert expired == [2]
    cursor.acknowledge(read)
    assert [record.items for record in read_all(cursor)] == [4]


def test_a_record_larger_than_the_queue_expires_at_once(journal: Journal) -> None:
    expired: list[int] = []
    cursor = journal.cursor("a", 1000, expired.append)
    journal.start(Applied())
    journal.submit(entry(bytes(1001), 7)).result(TIMEOUT)
    assert expired == [7]
    assert (cursor.queued_items, cursor.queued_bytes) == (0, 0)
    journal.submit(entry(bytes(1000), 1)).result(TIMEOUT)
    assert cursor.queued_items == 1


def test_a_flood_of_tiny_requests_stays_within_the_memory_of_the_queue(
    journal: Journal,
) -> None:
    limit = 1_000_000
    cursor = journal.cursor("a", limit, lambda items: None)
    journal.start(lambda record: None)
    tracemalloc.start()
    try:
        for n in range(20_000):
            future = journal.submit(entry(b"%05d" % n))
        future.result(TIMEOUT)
        assert tracemalloc.get_traced_memory()[0] < 1.2 * limit
    finally:
        tracemalloc.stop()
    assert 4_000 < cursor.queued_items < 20_000


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 900), st.integers(0, 9)),
            st.tuples(st.just("read"), st.integers(1, 3000), st.just(0)),
            st.tuples(st.just("acknowledge"), st.integers(0, 5), st.just(0)),
        ),
        max_size=60,
    )
)
def test_every_item_is_queued_acknowledged_or_expired_and_the_bound_holds(
    steps: list[tuple[str, int, int]],
) -> None:
    limit = 2000
    expired: list[int] = []
    journal = Journal(ManualClock(), threading.RLock())
    cursor = journal.cursor("a", limit, expired.append)
    journal.start(lambda record: None)
    in_hand: list[ReadRecord] = []
    positions: list[int] = []
    submitted = acknowledged = 0
    for step, amount, items in steps:
        if step == "append":
            journal.submit(entry(bytes(amount), items)).result(TIMEOUT)
            submitted += items
        elif step == "read":
            records = cursor.read(amount, 0)
            positions += [record.position for record in records]
            in_hand += records
        else:
            answered, in_hand = in_hand[:amount], in_hand[amount:]
            cursor.acknowledge(answered)
            acknowledged += sum(record.items for record in answered)
        assert submitted == acknowledged + sum(expired) + cursor.queued_items
        assert cursor.queued_bytes <= limit
    assert positions == sorted(set(positions))
    journal.close()
