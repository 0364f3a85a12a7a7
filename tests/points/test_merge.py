"""Deltas that are added up: the laws of their sum."""

from __future__ import annotations

import functools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.points.batch import (
    NO_BUCKETS,
    Buckets,
    ExponentialPoint,
    HistogramPoint,
    NumberPoint,
    Point,
    SummaryPoint,
)
from spanmill.points.exponential import trimmed
from spanmill.points.merge import MOST_BUCKETS_KEPT, can_merge, merged

TIMES = st.integers(1, 1000)
COUNTS = st.lists(st.integers(0, 100), min_size=3, max_size=3).map(tuple)
# Sums of eighths are exact, so that equality means equality.
EIGHTHS = st.integers(-800, 800).map(lambda number: number / 8)


@st.composite
def numbers(draw: st.DrawFn) -> NumberPoint:
    return NumberPoint((), draw(TIMES), draw(TIMES), True, draw(EIGHTHS), ())


@st.composite
def histograms(draw: st.DrawFn) -> HistogramPoint:
    counts = draw(COUNTS)
    bounds = (1.0, 2.0)
    total = sum(counts)
    return HistogramPoint(
        (), draw(TIMES), draw(TIMES), True, total, draw(EIGHTHS), bounds, counts, ()
    )


@st.composite
def sides(draw: st.DrawFn, scale: int) -> Buckets:
    width = 2 ** max(scale, 0)
    first = draw(st.integers(-900 * width, 900 * width)) >> max(-scale, 0)
    return trimmed(first, draw(st.lists(st.integers(0, 9), max_size=200)))


@st.composite
def exponentials(draw: st.DrawFn, threshold: float = 0.0) -> ExponentialPoint:
    scale = draw(st.integers(-4, 8))
    positive, negative = draw(sides(scale)), draw(sides(scale))
    zeros = draw(st.integers(0, 9))
    total = zeros + sum(positive.counts) + sum(negative.counts)
    return ExponentialPoint(
        *((), draw(TIMES), draw(TIMES), True, total, draw(EIGHTHS), scale, zeros),
        *(threshold, positive, negative, ()),
    )


ONE_KIND = st.one_of(
    st.lists(numbers(), min_size=1, max_size=6),
    st.lists(histograms(), min_size=1, max_size=6),
    st.lists(exponentials(), min_size=1, max_size=6),
)


@given(ONE_KIND, st.randoms(use_true_random=False))
def test_the_sum_is_the_same_in_any_order_and_grouping(
    points: list[Point], order: random.Random
) -> None:
    # With nothing added, the scale may be finer than a sum would have it.
    points = [merged(point, _nothing_like(point)) for point in points]
    expected = functools.reduce(merged, points)
    order.shuffle(points)
    groups = list(points)
    while len(groups) > 1:
        at = order.randrange(len(groups) - 1)
        groups[at : at + 2] = [merged(groups[at], groups[at + 1])]
    assert groups[0] == expected


def _nothing_like(point: Point) -> Point:
    if isinstance(point, NumberPoint):
        return point._replace(value=0)
    if isinstance(point, HistogramPoint):
        return point._replace(total=0, sum=0.0, counts=(0,) * len(point.counts))
    assert isinstance(point, ExponentialPoint)
    return point._replace(total=0, sum=0.0, zero_count=0, positive=NO_BUCKETS, negative=NO_BUCKETS)


@given(exponentials(), exponentials())
def test_no_observation_of_an_exponential_histogram_is_lost(
    left: ExponentialPoint, right: ExponentialPoint
) -> None:
    both = merged(left, right)
    assert isinstance(both, ExponentialPoint)
    assert both.zero_count + sum(both.positive.counts) + sum(both.negative.counts) == both.total
    assert both.total == left.total + right.total
    assert max(len(both.positive.counts), len(both.negative.counts)) <= MOST_BUCKETS_KEPT
    assert both.scale <= min(left.scale, right.scale)


@given(exponentials(threshold=0.5), exponentials(threshold=3.0))
def test_what_is_below_the_wider_zero_threshold_is_zero(
    left: ExponentialPoint, right: ExponentialPoint
) -> None:
    both = merged(left, right)
    assert isinstance(both, ExponentialPoint)
    assert both.zero_count + sum(both.positive.counts) + sum(both.negative.counts) == both.total
    assert both.zero_threshold >= 3.0
    for side in (both.positive, both.negative):
        if side.counts:
            assert 2.0 ** math.ldexp(side.first, -both.scale) >= both.zero_threshold


def test_the_sum_covers_both_times_and_a_start_that_is_known() -> None:
    left = NumberPoint((), 0, 20, True, 1, ())
    right = NumberPoint((), 5, 10, True, 2, ())
    assert merged(left, right) == NumberPoint((), 5, 20, True, 3, ())


def test_whole_numbers_stay_exact_beyond_doubles() -> None:
    point = NumberPoint((), 1, 2, True, 2**62 + 1, ())
    both = merged(point, point)
    assert isinstance(both, NumberPoint)
    assert both.value == 2**63 + 2


def test_histograms_of_different_bounds_have_no_sum() -> None:
    left = HistogramPoint((), 1, 2, True, 1, 1.0, (1.0,), (0, 1), ())
    assert can_merge(left, left)
    assert not can_merge(left, left._replace(bounds=(2.0,)))
    assert not can_merge(left, left._replace(bounds=(), counts=()))
    assert not can_merge(left, NumberPoint((), 1, 2, True, 1, ()))


def test_summaries_have_no_sum() -> None:
    point = SummaryPoint((), 1, 2, True, 1, 1.0, (), ())
    assert not can_merge(point, point)
    with pytest.raises(TypeError):
        merged(point, point)


def without_a_sum(point: HistogramPoint, total: int = 3) -> HistogramPoint:
    return point._replace(sum=math.nan, total=total)


@given(histograms().filter(lambda point: point.total > 0))
def test_histograms_with_a_sum_and_without_arent_added(point: HistogramPoint) -> None:
    assert not can_merge(point, without_a_sum(point))
    assert not can_merge(without_a_sum(point), point)
    both = merged(without_a_sum(point), without_a_sum(point))
    assert isinstance(both, HistogramPoint)
    assert math.isnan(both.sum)


@given(histograms())
def test_a_histogram_that_observed_nothing_needs_no_sum(point: HistogramPoint) -> None:
    nothing = without_a_sum(point, total=0)._replace(counts=(0, 0, 0))
    for left, right in ((point, nothing), (nothing, point)):
        assert can_merge(left, right)
        whole = merged(left, right)
        assert isinstance(whole, HistogramPoint)
        assert (whole.sum, whole.total) == (point.sum, point.total)
