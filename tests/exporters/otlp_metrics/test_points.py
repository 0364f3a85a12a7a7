from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.otlp_metrics.snapshots import NOW, points_of
from exposition_examples import CREATED, histogram_family, values_family
from spanmill.series.native import NativeHistograms
from spanmill.series.snapshot import FamilySnapshot, NativeBuckets

START = int(CREATED * 1e9)
WEIGHTS = st.floats(0.01, 1e6)


def native_family(*buckets: NativeBuckets) -> FamilySnapshot:
    counts = [[float(each.counts.sum() + each.zero_count)] for each in buckets]
    labels = [(str(i),) for i in range(len(buckets))]
    sums = [1.5] * len(buckets)
    return histogram_family("h", (), counts, sums, names=("n",), labels=labels, native=buckets)


def test_a_counter_begins_at_its_created_stamp() -> None:
    (pushed,) = points_of(values_family("x_total", "counter", [3]))
    assert (pushed.point.start_time_unix_nano, pushed.point.time_unix_nano) == (START, NOW)


def test_an_unknown_beginning_is_0() -> None:
    family = values_family("x_total", "counter", [3])
    (pushed,) = points_of(replace(family, created=np.array([math.nan])))
    assert pushed.point.start_time_unix_nano == 0


def test_nothing_begins_after_its_time() -> None:
    family = values_family("x_total", "counter", [3])
    (pushed,) = points_of(replace(family, created=np.array([NOW / 1e9 + 1e-6])))
    assert pushed.point.start_time_unix_nano == NOW


def test_a_gauge_has_no_beginning() -> None:
    (pushed,) = points_of(values_family("x", "gauge", [3]))
    assert (pushed.point.start_time_unix_nano, pushed.point.time_unix_nano) == (0, NOW)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 1e300])
def test_every_double_comes_through(value: float) -> None:
    (pushed,) = points_of(values_family("x", "gauge", [value]))
    assert repr(pushed.point.as_double) == repr(value)


def test_a_classic_histogram_has_its_bounds_and_buckets() -> None:
    labels = [("1",), ("2",)]
    family = histogram_family(
        "h", (0.5, 1.0), [[1, 2, 3], [0, 0, 200]], [9.5, math.nan], names=("a",), labels=labels
    )
    first, second = (each.point for each in points_of(family))
    assert list(first.explicit_bounds) == [0.5, 1.0]
    assert list(first.bucket_counts) == [1, 2, 3]
    assert (first.count, first.sum, first.start_time_unix_nano) == (6, 9.5, START)
    assert (second.count, list(second.bucket_counts)) == (200, [0, 0, 200])
    assert not second.HasField("sum")


@given(st.lists(WEIGHTS, min_size=1, max_size=12), st.lists(WEIGHTS, min_size=12, max_size=12))
def test_no_classic_count_falls_and_none_is_a_whole_one_off(
    before: list[float], added: list[float]
) -> None:
    bounds = tuple(float(i) for i in range(len(before) - 1))
    after = [a + b for a, b in zip(before, added, strict=False)]
    shown = []
    for counts in (before, after):
        (pushed,) = points_of(histogram_family("h", bounds, [counts], [1.0]))
        assert sum(pushed.point.bucket_counts) == pushed.point.count
        shown.append(np.cumsum(pushed.point.bucket_counts))
        exact = np.minimum(np.cumsum(counts), np.sum(counts))
        assert np.all(np.abs(shown[-1] - exact) < 1 + 1e-6)
    assert np.all(shown[0] <= shown[1])


def test_an_exponential_bucket_is_prometheus_less_one() -> None:
    family = native_family(
        NativeBuckets(3, 2.0, 5, np.array([1.0, 0.0, 300.0])),
        NativeBuckets(-4, 0.0, -7, np.array([1.0]), 0.0, 1, np.array([4.0])),
        NativeBuckets(8, 0.0, 0, np.zeros(0)),
    )
    first, second, third = (each.point for each in points_of(family))
    assert (first.scale, first.zero_count, first.count) == (3, 2, 303)
    assert (first.positive.offset, list(first.positive.bucket_counts)) == (4, [1, 0, 300])
    assert (first.sum, first.start_time_unix_nano) == (1.5, START)
    assert (second.scale, second.positive.offset, second.count) == (-4, -8, 5)
    assert (second.negative.offset, list(second.negative.bucket_counts)) == (0, [4])
    assert (third.scale, third.count, list(third.positive.bucket_counts)) == (8, 0, [])


def test_a_value_is_in_the_bucket_that_otlp_defines() -> None:
    values = np.array([1e-9, 0.003, 0.5, 1.0, 2.0, 77.7])
    for value in values:
        histograms = NativeHistograms()
        histograms.grow(1)
        histograms.observe(np.zeros(1, np.int64), np.array([value]), np.ones(1))
        (pushed,) = points_of(native_family(histograms.buckets(0)))
        base = 2.0 ** (2.0**-pushed.point.scale)
        index = pushed.point.positive.offset
        # OTLP: bucket i covers (base^i, base^(i+1)].
        assert base**index < value * (1 + 1e-12)
        assert value <= base ** (index + 1) * (1 + 1e-12)


@given(
    st.lists(st.tuples(st.floats(1e-9, 1e9), WEIGHTS), min_size=1, max_size=20),
    st.lists(st.tuples(st.floats(1e-9, 1e9), WEIGHTS), min_size=1, max_size=20),
)
def test_no_exponential_bucket_falls_even_if_the_scale_does(
    first: list[tuple[float, float]], then: list[tuple[float, float]]
) -> None:
    histograms = NativeHistograms()
    histograms.grow(1)
    points = []
    for observed in (first, then):
        values, weights = (np.array(column) for column in zip(*observed, strict=True))
        histograms.observe(np.zeros(len(values), np.int64), values, weights)
        (pushed,) = points_of(native_family(histograms.buckets(0)))
        points.append(pushed.point)
    before, after = points
    shift = before.scale - after.scale
    lowered: dict[int, int] = {}
    for i, count in enumerate(before.positive.bucket_counts):
        index = (before.positive.offset + i) >> shift
        lowered[index] = lowered.get(index, 0) + count
    for index, count in lowered.items():
        assert after.positive.bucket_counts[index - after.positive.offset] >= count
    assert after.count >= before.count
