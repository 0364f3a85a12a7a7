"""Exponential histograms against their definition."""

from __future__ import annotations

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.series.native import MAX_BUCKETS, MIN_SCALE, NativeHistograms, bucket_index
from spanmill.series.snapshot import NativeBuckets

positive = st.floats(min_value=5e-324, max_value=1.7e308, exclude_min=False)


def histogram_of(values: list[float], chunks: int = 1) -> NativeBuckets:
    histograms = NativeHistograms()
    histograms.grow(2)
    for chunk in np.array_split(np.array(values), chunks):
        histograms.observe(np.ones(len(chunk), np.int64), chunk, np.ones(len(chunk)))
    return histograms.buckets(1)


def bounds_of(buckets: NativeBuckets) -> list[tuple[Decimal, Decimal]]:
    getcontext().prec = 60
    base = Decimal(2) ** (Decimal(2) ** -buckets.schema)
    return [
        (base ** (buckets.first + i - 1), base ** (buckets.first + i))
        for i in range(len(buckets.counts))
    ]


@pytest.mark.parametrize("exponent", [-1074, -1022, -30, -1, 0, 1, 30, 1023])
def test_a_power_of_two_is_the_upper_bound_of_its_bucket(exponent: int) -> None:
    value = math.ldexp(1.0, exponent)
    assert bucket_index(np.array([value]))[0] == exponent * 256 - 1


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_a_value_lies_within_the_bounds_of_its_bucket(value: float) -> None:
    getcontext().prec = 60
    index = int(bucket_index(np.array([value]))[0])
    base = Decimal(2) ** (Decimal(1) / 256)
    slack = Decimal(1) + Decimal(2) ** -52  # the bounds themselves are doubles
    assert base**index / slack <= Decimal(value) <= base ** (index + 1) * slack


@given(st.lists(positive, min_size=1, max_size=50))
def test_every_value_is_counted_and_the_range_is_never_over_160_buckets(
    values: list[float],
) -> None:
    buckets = histogram_of(values)
    assert buckets.counts.sum() == len(values)
    assert len(buckets.counts) <= MAX_BUCKETS
    assert buckets.schema >= MIN_SCALE
    assert buckets.counts[0] > 0
    assert buckets.counts[-1] > 0


@given(st.lists(st.floats(1e-9, 1e6), min_size=1, max_size=60), st.integers(1, 60))
def test_the_result_does_not_depend_on_how_the_values_are_batched(
    values: list[float], chunks: int
) -> None:
    at_once, in_parts = histogram_of(values), histogram_of(values, chunks)
    assert (at_once.schema, at_once.first) == (in_parts.schema, in_parts.first)
    assert at_once.counts.tolist() == in_parts.counts.tolist()


def test_the_smallest_and_largest_double_fit_at_the_coarsest_scale() -> None:
    buckets = histogram_of([5e-324, 1.7976931348623157e308])
    assert buckets.schema == MIN_SCALE
    assert buckets.counts.sum() == 2


def test_buckets_hold_exactly_the_values_between_their_bounds() -> None:
    values = np.random.default_rng(7).lognormal(-3, 1.0, 500)
    buckets = histogram_of(values.tolist())
    expected = [
        sum(low < Decimal(value) <= high for value in values.tolist())
        for low, high in bounds_of(buckets)
    ]
    assert buckets.counts.tolist() == expected


def test_zero_has_a_count_of_its_own() -> None:
    buckets = histogram_of([0.0, 0.0, 1.0])
    assert buckets.zero_count == 2
    assert buckets.counts.tolist() == [1.0]


def test_an_empty_histogram_has_no_buckets() -> None:
    buckets = histogram_of([])
    assert len(buckets.counts) == 0
    assert buckets.zero_count == 0


def test_a_row_is_empty_after_reset_and_its_neighbour_unharmed() -> None:
    histograms = NativeHistograms()
    histograms.grow(2)
    histograms.observe(np.array([0, 1, 1]), np.array([1.0, 1e-9, 0.0]), np.ones(3))
    histograms.reset(1)
    assert len(histograms.buckets(1).counts) == 0
    assert histograms.buckets(1).zero_count == 0
    assert histograms.buckets(0).counts.tolist() == [1.0]


def test_weights_count_as_many_observations() -> None:
    histograms = NativeHistograms()
    histograms.grow(1)
    histograms.observe(np.array([0, 0]), np.array([0.0, 2.0]), np.array([2.5, 4.0]))
    assert histograms.buckets(0).zero_count == 2.5
    assert histograms.buckets(0).counts.tolist() == [4.0]
