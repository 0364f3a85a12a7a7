"""Instruments of spanmill's own health."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spanmill.clock import SystemClock
from spanmill.series.instruments import MOST_SERIES
from spanmill.series.registry import Registry
from spanmill.series.snapshot import FamilySnapshot, Histograms, Values


def shown(registry: Registry) -> dict[tuple[str, ...] | None, float]:
    (family,) = registry.snapshot()
    assert isinstance(family.data, Values)
    return dict(zip(family.labels, family.data.values.tolist(), strict=True))


def histogram_of(registry: Registry) -> tuple[FamilySnapshot, Histograms]:
    (family,) = registry.snapshot()
    assert isinstance(family.data, Histograms)
    return family, family.data


def test_a_counter_adds_up_by_labels() -> None:
    registry = Registry(SystemClock())
    counter = registry.counter("c_total", "Counts.", ("outcome",))
    counter.add(2, "good")
    counter.add(1.5, "good")
    counter.add(1, "bad")
    assert shown(registry) == {("good",): 3.5, ("bad",): 1.0}
    assert counter.value("good") == 3.5


def test_nothing_added_shows_a_series_and_reading_one_doesn_t() -> None:
    registry = Registry(SystemClock())
    counter = registry.counter("c_total", "Counts.", ("outcome",))
    counter.add(0, "good")
    assert counter.value("bad") == 0
    assert shown(registry) == {("good",): 0.0}


def test_a_gauge_has_the_value_that_was_set_last() -> None:
    registry = Registry(SystemClock())
    gauge = registry.gauge("g", "Shows.")
    gauge.set(7)
    gauge.set(3.5)
    assert shown(registry) == {(): 3.5}
    assert gauge.value() == 3.5


def test_series_beyond_the_most_share_one() -> None:
    registry = Registry(SystemClock())
    counter = registry.counter("c_total", "Counts.", ("name",))
    for n in range(MOST_SERIES + 50):
        counter.add(1, str(n))
        counter.add(1, "0")
    found = shown(registry)
    assert len(found) == MOST_SERIES + 1
    assert found[None] == 50
    assert found["0",] == 1 + MOST_SERIES + 50
    assert sum(found.values()) == 2 * (MOST_SERIES + 50)


def test_an_empty_label_is_not_the_series_of_the_others() -> None:
    registry = Registry(SystemClock())
    counter = registry.counter("c_total", "Counts.", ("name",))
    counter.add(1, "")
    assert shown(registry) == {("",): 1}


@given(st.lists(st.integers(0, 2**63), max_size=20))
def test_a_histogram_counts_one_or_many_durations_alike(durations: list[int]) -> None:
    one, many = Registry(SystemClock()), Registry(SystemClock())
    bounds = (5_000_000, 10_000_000_000)
    single = one.histogram("h_seconds", "Times.", bounds)
    single.observe(np.zeros(0, np.uint64))
    for duration in durations:
        single.observe_one(duration)
    many.histogram("h_seconds", "Times.", bounds).observe(np.array(durations, np.uint64))
    (_, this), (_, that) = histogram_of(one), histogram_of(many)
    assert this.bucket_counts.tolist() == that.bucket_counts.tolist()
    assert np.allclose(this.sums, that.sums, rtol=1e-12)
    assert that.counts.tolist() == [len(durations)]


def test_a_duration_at_a_bound_belongs_below_it_and_is_shown_in_seconds() -> None:
    registry = Registry(SystemClock())
    histogram = registry.histogram("h_seconds", "Times.", (1_000_000_000, 2_000_000_000), ("by",))
    histogram.observe(np.array([10**9, 10**9 + 1, 3 * 10**9], np.uint64), "x")
    family, data = histogram_of(registry)
    assert family.labels == [("x",)]
    assert data.bounds == (1.0, 2.0)
    assert data.bucket_counts.tolist() == [[1, 1, 1]]
    assert data.sums.tolist() == [5.000000001]


def test_no_addition_of_several_threads_is_lost() -> None:
    registry = Registry(SystemClock())
    counter = registry.counter("c_total", "Counts.")

    def add() -> None:
        for _ in range(20_000):
            counter.add(1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value() == 80_000
