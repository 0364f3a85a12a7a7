"""The journal's cursors: each at its own pace, within its own bound."""

from __future__ import annotations

import threading
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from journal.entries import TIMEOUT, Applied, Journal, entry, nothing_expires, read_all
from spanmill.journal.log import CursorSettings, Entry, ReadRecord, Signal
from spanmill.journal.memory import MemoryJournal
from spanmill.testing import ManualClock

OVERHEAD = 200  # what a record may take beside its payload


def test_every_cursor_reads_every_record_at_its_own_pace(journal: Journal) -> None:
    fast = journal.cursor(CursorSettings("fast", Signal.TRACES, 1 << 30), nothing_expires)
    slow = journal.cursor(CursorSettings("slow", Signal.TRACES, 1 << 30), nothing_expires)
    journal.start(Applied())
    journal.submit(entry(b"a", 2)).result(TIMEOUT)
    fast.acknowledge(read_all(fast), {})
    journal.submit(entry(b"bc", 3)).result(TIMEOUT)
    assert (fast.name, fast.queued_items, fast.queued_bytes) == ("fast", 3, 2)
    assert (slow.name, slow.queued_items, slow.queued_bytes) == ("slow", 5, 3)
    assert [(r.position, r.payload, r.items) for r in slow.read(100, 0)] == [
        (0, b"a", 2),
        (1, b"bc", 3),
    ]


def test_a_cursor_reads_its_signal_and_no_other(journal: Journal) -> None:
    traces = journal.cursor(CursorSettings("tempo", Signal.TRACES, 1), nothing_expires)
    metrics = journal.cursor(CursorSettings("tempo", Signal.METRICS, 1 << 30), nothing_expires)
    journal.start(Applied())
    journal.submit(entry(b"a")).result(TIMEOUT)
    for payload in (b"points", b"more points"):
        journal.submit(Entry(payload, Signal.METRICS, "test", 3, None)).result(TIMEOUT)
    journal.submit(Entry(b"", Signal.TICK, "", 0, None)).result(TIMEOUT)
    assert [record.payload for record in read_all(traces)] == [b"a"]
    assert [record.payload for record in read_all(metrics)] == [b"points", b"more points"]
    assert (traces.queued_items, metrics.queued_items) == (1, 6)


def test_a_cursor_reads_up_to_a_size_but_at_least_one_record(journal: Journal) -> None:
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, 1 << 30), nothing_expires)
    journal.start(Applied())
    for size in (3, 4, 4, 20, 1):
        journal.submit(entry(b"x" * size)).result(TIMEOUT)
    sizes = []
    while records := cursor.read(8, 0):
        sizes.append([len(record.payload) for record in records])
    assert sizes == [[3, 4], [4], [20], [1]]


def test_what_was_read_stays_queued_until_it_is_acknowledged(journal: Journal) -> None:
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, 1 << 30), nothing_expires)
    journal.start(Applied())
    for n in range(3):
        journal.submit(entry(b"xy", n)).result(TIMEOUT)
    records = read_all(cursor)
    assert (cursor.queued_items, cursor.queued_bytes) == (3, 6)
    cursor.acknowledge(records[1:], {})
    assert (cursor.queued_items, cursor.queued_bytes) == (0, 2)
    cursor.acknowledge(records[:1], {})
    assert (cursor.queued_items, cursor.queued_bytes) == (0, 0)


def test_a_waiting_read_returns_when_a_record_comes(journal: Journal) -> None:
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, 1 << 30), nothing_expires)
    journal.start(Applied())
    got: list[ReadRecord] = []
    reader = threading.Thread(target=lambda: got.extend(cursor.read(100, TIMEOUT)))
    reader.start()
    journal.submit(entry(b"x"))
    reader.join(TIMEOUT)
    assert [record.payload for record in got] == [b"x"]


def test_a_read_lingers_until_it_is_full(journal: Journal) -> None:
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, 1 << 30), nothing_expires)
    journal.start(Applied())
    got: list[ReadRecord] = []
    reader = threading.Thread(target=lambda: got.extend(cursor.read(4, TIMEOUT, TIMEOUT)))
    reader.start()
    for payload in (b"ab", b"c", b"d", b"e"):
        journal.submit(entry(payload)).result(TIMEOUT)
    reader.join(TIMEOUT)
    assert b"".join(record.payload for record in got) == b"abcd"


def test_a_read_lingers_no_longer_than_it_is_told(journal: Journal) -> None:
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, 1 << 30), nothing_expires)
    journal.start(Applied())
    journal.submit(entry(b"a")).result(TIMEOUT)
    assert [record.payload for record in cursor.read(1000, TIMEOUT, 0.001)] == [b"a"]


def test_waking_a_cursor_ends_a_waiting_read_or_the_next_one(journal: Journal) -> None:
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, 1 << 30), nothing_expires)
    journal.start(Applied())
    cursor.wake()
    assert cursor.read(1000, TIMEOUT) == []
    journal.submit(entry(b"a")).result(TIMEOUT)
    cursor.wake()
    assert [record.payload for record in cursor.read(1000, TIMEOUT, TIMEOUT)] == [b"a"]
    got: list[list[ReadRecord]] = []
    reader = threading.Thread(target=lambda: got.append(cursor.read(100, TIMEOUT)))
    reader.start()
    cursor.wake()
    reader.join(TIMEOUT)
    assert got == [[]]


def test_closing_a_cursor_ends_a_waiting_read_with_nothing(journal: Journal) -> None:
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, 1 << 30), nothing_expires)
    got: list[list[ReadRecord]] = []
    reader = threading.Thread(target=lambda: got.append(cursor.read(100, TIMEOUT)))
    reader.start()
    cursor.close()
    reader.join(TIMEOUT)
    assert got == [[]]


def test_a_full_queue_gives_up_its_oldest_unread_records(journal: Journal) -> None:
    expired: list[int] = []
    cursor = journal.cursor(
        CursorSettings("a", Signal.TRACES, 3 * 1000 + 2 * OVERHEAD), expired.append
    )
    journal.start(Applied())
    for items in (1, 2, 4, 8, 16):
        journal.submit(entry(bytes(1000), items)).result(TIMEOUT)
    assert expired == [1, 2]
    assert [record.items for record in read_all(cursor)] == [4, 8, 16]


def test_a_full_queue_never_takes_back_what_was_read(journal: Journal) -> None:
    expired: list[int] = []
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, 2 * 1000 + OVERHEAD), expired.append)
    journal.start(Applied())
    journal.submit(entry(bytes(1000), 1)).result(TIMEOUT)
    read = cursor.read(1000, 0)
    for items in (2, 4):
        journal.submit(entry(bytes(1000), items)).result(TIMEOUT)
    assert expired == [2]
    cursor.acknowledge(read, {})
    assert [record.items for record in read_all(cursor)] == [4]


def test_a_record_larger_than_the_queue_expires_at_once(journal: Journal) -> None:
    expired: list[int] = []
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, 1000), expired.append)
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
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, limit), lambda items: None)
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
    journal = MemoryJournal[None](ManualClock(), threading.RLock())
    cursor = journal.cursor(CursorSettings("a", Signal.TRACES, limit), expired.append)
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
            cursor.acknowledge(answered, {})
            acknowledged += sum(record.items for record in answered)
        assert submitted == acknowledged + sum(expired) + cursor.queued_items
        assert cursor.queued_bytes <= limit
    assert positions == sorted(set(positions))
    journal.close()
