"""Exponential buckets at other scales."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spanmill.points.batch import NO_BUCKETS, Buckets
from spanmill.points.exponential import added, in_range, lowered, steps_to_fit, trimmed

SIDES = st.builds(trimmed, st.integers(-5000, 5000), st.lists(st.integers(0, 9), max_size=50))


def test_empty_buckets_at_the_ends_are_left_out() -> None:
    assert trimmed(-2, [0, 1, 0, 2, 0]) == Buckets(-1, (1, 0, 2))
    assert trimmed(7, [0, 0]) == trimmed(7, []) == NO_BUCKETS


@given(SIDES, st.integers(0, 40), st.integers(0, 40))
def test_lowering_twice_is_lowering_once_by_both(side: Buckets, one: int, two: int) -> None:
    assert lowered(lowered(side, one), two) == lowered(side, one + two)


@given(SIDES, st.integers(0, 10))
def test_each_bucket_lands_where_its_values_are(side: Buckets, steps: int) -> None:
    expected: dict[int, int] = {}
    for index, count in enumerate(side.counts, side.first):
        expected[index >> steps] = expected.get(index >> steps, 0) + count
    low = lowered(side, steps)
    found = dict(enumerate(low.counts, low.first))
    assert {k: v for k, v in found.items() if v} == {k: v for k, v in expected.items() if v}


@given(SIDES, SIDES)
def test_a_sum_has_the_counts_of_both(left: Buckets, right: Buckets) -> None:
    total = added(left, right)
    for index in range(-5000, 5060):
        assert at(total, index) == at(left, index) + at(right, index)


def at(side: Buckets, index: int) -> int:
    inside = 0 <= index - side.first < len(side.counts)
    return side.counts[index - side.first] if inside else 0


@given(SIDES, SIDES, st.integers(2, 160))
def test_the_scale_is_lowered_no_further_than_needed(
    left: Buckets, right: Buckets, most: int
) -> None:
    steps = steps_to_fit([(left, right)], most)
    assert len(added(lowered(left, steps), lowered(right, steps)).counts) <= most
    if steps:
        finer = added(lowered(left, steps - 1), lowered(right, steps - 1))
        assert len(finer.counts) > most


def test_what_lies_outside_of_the_doubles_is_known_at_every_scale() -> None:
    assert in_range(NO_BUCKETS, 2**31)
    assert in_range(Buckets(1023, (1,)), 0)
    assert not in_range(Buckets(1024, (1,)), 0)
    assert in_range(Buckets(-1075, (1,)), 0)
    assert not in_range(Buckets(-1076, (1,)), 0)
    assert in_range(Buckets(-2, (1, 1, 1)), -10)
    assert not in_range(Buckets(1, (1,)), -10)
    assert in_range(Buckets(100_000_000, (1,)), 40)
    assert not in_range(Buckets(100_000_000, (1,)), 8)
