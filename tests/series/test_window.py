"""Which slot a span belongs to, and which slots a ring covers."""

from __future__ import annotations

import numpy as np
import pytest

from spanmill.series.window import SLOT_NS, SlotRing, slots_of

SECOND = 10**9
NOW = 170_000_000 * SLOT_NS  # the beginning of a slot
NEWEST = 170_000_000
LAST_UINT64 = 2**64 - 1


def ring_at(now_ns: int, window_ns: int = 300 * SECOND) -> SlotRing:
    ring = SlotRing(window_ns)
    ring.advance(now_ns)
    return ring


def test_a_span_belongs_to_the_slot_of_its_end() -> None:
    ends = np.array([NOW - 1, NOW, NOW + SLOT_NS - 1], np.uint64)
    slots = slots_of(ends, NOW + 5 * SLOT_NS)
    assert slots.tolist() == [NEWEST - 1, NEWEST, NEWEST]


def test_a_span_that_ends_in_the_future_belongs_to_the_slot_of_its_arrival() -> None:
    ends = np.array([NOW + 1000 * SLOT_NS, LAST_UINT64], np.uint64)
    assert slots_of(ends, NOW).tolist() == [NEWEST, NEWEST]


def test_a_span_that_ended_in_1970_belongs_to_a_slot_that_is_gone() -> None:
    slots = slots_of(np.array([0, 1], np.uint64), NOW)
    assert slots.tolist() == [0, 0]
    assert not ring_at(NOW).covers(slots).any()


@pytest.mark.parametrize(
    ("window_seconds", "length"), [(10, 2), (15, 3), (300, 31), (301, 32), (3600, 361)]
)
def test_a_ring_covers_the_window_and_never_less(window_seconds: int, length: int) -> None:
    ring = ring_at(NOW, window_seconds * SECOND)
    assert ring.length == length
    assert ring.oldest == NEWEST - length + 1
    assert window_seconds * SECOND <= ring.covered_ns < window_seconds * SECOND + SLOT_NS
    for late in (0, SLOT_NS - 1):
        end = NOW + late - window_seconds * SECOND
        assert ring.covers(slots_of(np.array([end], np.uint64), NOW + late)).all()


def test_the_ring_moves_once_a_slot() -> None:
    ring = ring_at(NOW)
    moves = [ring.advance(NOW + seconds * SECOND) for seconds in (0, 9, 10, 19, 40)]
    assert moves == [0, 0, 1, 0, 3]
    assert ring.newest == NEWEST + 4


def test_a_clock_set_back_a_little_waits() -> None:
    ring = ring_at(NOW)
    assert ring.advance(NOW - 50 * SECOND) == 0
    assert ring.newest == NEWEST


@pytest.mark.parametrize("minutes", [1, 4, 60, 365 * 1440])
def test_a_clock_set_back_by_a_minute_or_more_is_followed_and_dates_slots_back(
    minutes: int,
) -> None:
    ring = ring_at(NOW + minutes * 60 * SECOND)
    assert ring.advance(NOW) == -6 * minutes
    assert (ring.newest, ring.oldest) == (NEWEST, NEWEST - 30)
    ring.give_up(NEWEST - 3)
    assert ring.advance(NOW - 3600 * SECOND) == -360
    assert (ring.newest, ring.oldest) == (NEWEST - 360, NEWEST - 362)


def test_a_short_ring_is_dated_back_once_all_of_it_would_be_ahead() -> None:
    ring = ring_at(NOW, 10 * SECOND)
    assert ring.advance(NOW - 10 * SECOND) == 0
    assert ring.advance(NOW - 20 * SECOND) == -2


def test_what_is_given_up_is_not_covered_until_time_has_passed_over_it() -> None:
    ring = ring_at(NOW)
    ring.give_up(NEWEST - 3)
    assert ring.covers(np.array([NEWEST - 3, NEWEST - 2])).tolist() == [False, True]
    assert ring.covered_ns == 2 * SLOT_NS
    ring.advance(NOW + 300 * SECOND)
    assert ring.covered_ns == 300 * SECOND


def test_a_ring_joins_the_later_time_and_the_shorter_cover() -> None:
    early, late = ring_at(NOW), ring_at(NOW + 20 * SECOND)
    late.give_up(NEWEST - 5)
    assert early.join(late) == 2
    assert late.join(ring_at(NOW)) == 0
    for ring in (early, late):
        assert (ring.oldest, ring.newest) == (NEWEST - 4, NEWEST + 2)
    assert early.join(SlotRing(300 * SECOND)) == 0
    assert early.newest == NEWEST + 2


def test_rings_of_different_lengths_do_not_join() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        ring_at(NOW).join(ring_at(NOW, 600 * SECOND))
