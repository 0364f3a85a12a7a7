"""The tail in memory: bounded, shared, and clear about what it doesn't have."""

from __future__ import annotations

from spanmill.journal.log import ReadRecord
from spanmill.journal.tail import RECORD_OVERHEAD, Tail


def record(position: int, size: int = 100) -> ReadRecord:
    return ReadRecord(position, 0, bytes(size), 1)


def filled(max_bytes: int, records: int) -> Tail:
    tail = Tail(max_bytes)
    tail.begin(0)
    tail.join("a", 0)
    for position in range(records):
        tail.append(record(position))
    return tail


def positions(found: tuple[list[ReadRecord], int] | None) -> list[int] | None:
    return None if found is None else [one.position for one in found[0]]


def test_it_gives_what_fits_and_how_far_that_is() -> None:
    tail = filled(1 << 20, 5)
    found = tail.read(1, 5, 250)
    assert (positions(found), found and found[1]) == ([1, 2], 3)
    found = tail.read(3, 9, 10_000)
    assert (positions(found), found and found[1]) == ([3, 4], 9)
    assert positions(tail.read(0, 5, 1)) == [0]


def test_it_has_none_of_what_it_let_go() -> None:
    tail = filled(3 * (100 + RECORD_OVERHEAD), 5)
    assert tail.bytes <= 3 * (100 + RECORD_OVERHEAD)
    assert tail.read(1, 5, 1000) is None
    assert positions(tail.read(2, 5, 1000)) == [2, 3, 4]


def test_what_every_reader_has_passed_goes() -> None:
    tail = filled(1 << 20, 3000)
    tail.join("b", 0)
    tail.passed("a", 3000)
    assert tail.bytes == 3000 * (100 + RECORD_OVERHEAD)
    tail.passed("b", 2000)
    assert tail.bytes == 1000 * (100 + RECORD_OVERHEAD)
    assert positions(tail.read(2998, 3000, 1000)) == [2998, 2999]
    assert tail.read(1999, 3000, 1000) is None


def test_a_record_that_two_cursors_show_is_held_once() -> None:
    tail = filled(1 << 20, 1)
    tail.append(record(0))
    assert positions(tail.read(0, 1, 1000)) == [0]


def test_a_record_that_is_larger_than_all_of_it_is_not_held() -> None:
    tail = filled(1000, 1)
    tail.append(record(1, 5000))
    assert tail.bytes == 0
    assert tail.read(1, 2, 10_000) is None
    tail.append(record(2))
    assert positions(tail.read(2, 3, 1000)) == [2]
