"""A cursor on disk: what it reads, counts and gives up, and where it goes on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from journal.entries import TIMEOUT, nothing_expires
from journal.followed import Followed, drain, positions, traces
from spanmill.journal.log import CursorSettings, ReadRecord, Signal


@pytest.fixture
def followed(tmp_path: Path) -> Followed:
    return Followed(tmp_path)


def test_it_reads_its_signal_in_order_up_to_a_size_but_at_least_one(followed: Followed) -> None:
    cursor = followed.cursor(traces(), nothing_expires)
    for size in (3, 4, 4, 20, 1):
        followed.append(b"x" * size)
        followed.append(b"points", signal=Signal.METRICS)
        followed.append(b"", 0, signal=Signal.TICK)
    sizes = []
    while records := cursor.read(8, 0):
        sizes.append([len(record.payload) for record in records])
    assert sizes == [[3, 4], [4], [20], [1]]


def test_it_reads_the_same_from_the_segments_when_the_tail_is_too_small(tmp_path: Path) -> None:
    followed = Followed(tmp_path, tail_bytes=600)
    cursor = followed.cursor(traces(), nothing_expires)
    for n in range(20):
        followed.append(b"%02d" % n)
        followed.append(b"points", signal=Signal.METRICS)
    payloads = [record.payload for record in drain(cursor, 5)]
    assert payloads == [b"%02d" % n for n in range(20)]
    assert len(followed.stored.read_from) == 1  # it stays where it is in the segments


def test_what_comes_while_it_keeps_up_is_not_read_from_the_segments(followed: Followed) -> None:
    cursor = followed.cursor(traces(), nothing_expires)
    for n in range(5):
        followed.append(b"%d" % n)
        assert [record.payload for record in drain(cursor)] == [b"%d" % n]
    assert followed.stored.read_from == []


def test_what_was_read_stays_queued_until_it_is_acknowledged(followed: Followed) -> None:
    cursor = followed.cursor(traces(), nothing_expires)
    for n in range(3):
        followed.append(b"xy", n)
    records = cursor.read(100, 0)
    assert (cursor.queued_items, cursor.queued_bytes) == (3, 6)
    cursor.acknowledge(records[1:], {"delivered": 3})
    assert (cursor.queued_items, cursor.queued_bytes) == (0, 2)
    cursor.acknowledge(records[:1], {})
    assert (cursor.queued_items, cursor.queued_bytes) == (0, 0)
    assert cursor.outcomes == {"delivered": 3}


def test_a_waiting_read_lingers_until_it_is_full(followed: Followed) -> None:
    cursor = followed.cursor(traces(), nothing_expires)
    got: list[ReadRecord] = []
    reader = threading.Thread(target=lambda: got.extend(cursor.read(4, TIMEOUT, TIMEOUT)))
    reader.start()
    for payload in (b"ab", b"c", b"d", b"e"):
        followed.append(payload)
    reader.join(TIMEOUT)
    assert b"".join(record.payload for record in got) == b"abcd"


def test_waking_or_closing_it_ends_a_waiting_read_with_nothing(followed: Followed) -> None:
    cursor = followed.cursor(traces(), nothing_expires)
    for end in (cursor.wake, cursor.close):
        got: list[list[ReadRecord]] = []
        reader = threading.Thread(target=lambda got=got: got.append(cursor.read(100, TIMEOUT)))
        reader.start()
        end()
        reader.join(TIMEOUT)
        assert got == [[]]


def test_after_a_crash_it_reads_again_what_nobody_answered_for_and_then_the_rest(
    followed: Followed,
) -> None:
    cursor = followed.cursor(traces(), nothing_expires)
    for n in range(6):
        followed.append(b"%d" % n, items=n)
        followed.append(b"", 0, signal=Signal.TICK)
    first, second, third = (cursor.read(1, 0) for _ in range(3))
    cursor.acknowledge(second, {"delivered": 1})
    cursor.acknowledge(third, {"rejected_by_peer": 2})
    followed.crash()
    again = followed.cursor(traces(), nothing_expires)
    assert again.resumed
    assert again.outcomes == {"delivered": 1, "rejected_by_peer": 2}
    assert (again.queued_items, again.queued_bytes) == (0 + 3 + 4 + 5, 4)
    assert positions(first) == [0]
    assert positions(drain(again)) == [0, 6, 8, 10]
    assert (again.queued_items, again.queued_bytes) == (0, 0)


def test_its_created_stamp_is_kept(followed: Followed) -> None:
    created = followed.cursor(traces(), nothing_expires).created_ns
    assert created == followed.clock.time_ns()
    followed.crash()
    followed.clock.advance(60)
    assert followed.cursor(traces(), nothing_expires).created_ns == created


def test_a_new_destination_gets_what_comes_from_now_on(followed: Followed) -> None:
    followed.append(b"before")
    cursor = followed.cursor(traces(), nothing_expires)
    followed.append(b"after")
    assert not cursor.resumed
    assert [record.payload for record in drain(cursor)] == [b"after"]


def test_a_removed_destination_that_returns_goes_on_with_what_is_left(followed: Followed) -> None:
    followed.cursor(traces(), nothing_expires)
    followed.append(b"a", 1)
    followed.crash()  # from here on it is not configured
    for n in range(5):
        followed.append(b"b", 2 * n)
    followed.stored.lose(0, 1, 2)
    cursor = followed.cursor(traces(), nothing_expires)
    assert cursor.queued_items == 4 + 6 + 8
    assert positions(drain(cursor)) == [3, 4, 5]


def test_a_backlog_over_its_bound_loses_its_oldest_unread_records(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    expired: list[int] = []
    cursor = followed.cursor(traces(max_backlog=3000), expired.append)
    followed.append(bytes(1000), 1)
    read = cursor.read(1000, 0)
    for items in (2, 4, 8, 16):
        followed.append(bytes(1000), items)
    cursor.sync()
    assert sum(expired) == 2 + 4
    assert cursor.outcomes == {"expired": 6}
    assert "more waited than max_backlog" in caplog.text
    cursor.acknowledge(read, {})
    assert [record.items for record in drain(cursor)] == [8, 16]


def test_what_expired_stays_expired_after_a_crash(followed: Followed) -> None:
    cursor = followed.cursor(traces(max_backlog=1500), lambda items: None)
    for _ in range(4):
        followed.append(bytes(1000))
    cursor.sync()
    followed.crash()
    again = followed.cursor(traces(max_backlog=1500), nothing_expires)
    assert again.outcomes == {"expired": 3}
    assert positions(drain(again)) == [3]


def test_a_required_destination_loses_nothing(followed: Followed) -> None:
    cursor = followed.cursor(traces(max_backlog=2000, required=True), nothing_expires)
    followed.append(bytes(1999))
    followed.append(bytes(1000))
    cursor.sync()
    assert positions(drain(cursor)) == [0, 1]


def test_the_journal_may_give_up_old_records_but_those_that_were_read(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    expired: list[int] = []
    cursor = followed.cursor(traces(), expired.append)
    for n in range(6):
        followed.append(b"x", n)
    read = cursor.read(2, 0)
    with followed.books:
        cursor.expire(4)
    assert expired == [2 + 3]
    assert "older than state.max_age, or the journal was at state.max_bytes" in caplog.text
    cursor.acknowledge(read, {"delivered": 1})
    assert positions(drain(cursor)) == [4, 5]
    assert cursor.queued_items == 0


def test_records_that_are_gone_expire_once_it_gets_there(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    expired: list[int] = []
    followed.cursor(traces(), expired.append)
    for n in range(4):
        followed.append(b"x", n)
    followed.crash()
    cursor = followed.cursor(traces(), expired.append)
    followed.stored.lose(1, 3)
    assert positions(drain(cursor)) == [0, 2]
    assert cursor.read(1, 0) == []
    assert (sum(expired), cursor.queued_items, cursor.queued_bytes) == (1 + 3, 0, 0)
    assert "they are damaged, or their file is gone" in caplog.text
    assert "max_backlog" not in caplog.text
    assert cursor.outcomes == {"delivered": 2, "expired": 4}


def test_it_needs_what_is_unanswered_until_its_file_is_synced(followed: Followed) -> None:
    cursor = followed.cursor(traces(), nothing_expires)
    for _ in range(4):
        followed.append(b"x")
    first, second = cursor.read(2, 0), cursor.read(2, 0)
    cursor.acknowledge(second, {"delivered": 2})
    cursor.sync()
    assert cursor.needs_from == 0
    cursor.acknowledge(first, {"delivered": 2})
    assert cursor.needs_from == 0
    cursor.sync()
    assert cursor.needs_from == 4
    followed.append(b"points", signal=Signal.METRICS)
    cursor.sync()
    assert cursor.needs_from == 5  # others' records don't hold it up


def test_two_destinations_of_one_name_have_a_file_for_each_signal(followed: Followed) -> None:
    for signal in (Signal.TRACES, Signal.METRICS):
        followed.cursor(CursorSettings("a/b", signal, 1), nothing_expires)
    names = sorted(path.name for path in followed.folder.iterdir())
    assert names == ["metrics-a%2Fb.cursor", "traces-a%2Fb.cursor"]
