"""The registry's own rules."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from spanmill.clock import SystemClock
from spanmill.errors import FamilyConflictError
from spanmill.series.counter import CounterColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.registry import MILLISECONDS, LabelDialect, Registry
from spanmill.series.snapshot import Family, Histograms, Values


def test_a_name_is_declared_once() -> None:
    registry = Registry(SystemClock())
    registry.counter("x_total", "X.")
    with pytest.raises(FamilyConflictError, match="x_total"):
        registry.gauge("x_total", "X.")


def test_a_family_without_a_series_is_not_shown() -> None:
    registry = Registry(SystemClock())
    registry.counter("x_total", "X.")
    assert registry.snapshot() == []


def test_a_snapshot_does_not_change_when_the_registry_does() -> None:
    registry = Registry(SystemClock())
    counter = registry.counter("x_total", "X.", ("kind",))
    counter.add(3, "a")
    (before,) = registry.snapshot()
    counter.add(4, "a")
    assert isinstance(before.data, Values)
    assert before.data.values.tolist() == [3.0]


RENAMED = LabelDialect(("service_name",), tuple)


def test_one_column_is_shown_by_two_families_under_their_own_label_names() -> None:
    registry = Registry(SystemClock())
    sets = registry.label_sets(("service",), 10, None)
    column = CounterColumn(sets)
    registry.expose_values(Family("a_total", "counter", "A."), sets, column)
    registry.expose_values(Family("b_total", "counter", "B."), sets, column, RENAMED)
    column.add(sets.rows([("shop",)], 0), np.ones(1))
    pairs = [list(family.label_pairs()) for family in registry.snapshot()]
    assert pairs == [[(("service", "shop"),)], [(("service_name", "shop"),)]]


def test_an_empty_label_value_is_no_label() -> None:
    registry = Registry(SystemClock())
    registry.counter("x_total", "X.", ("a", "b")).add(1, "", "y")
    assert [list(family.label_pairs()) for family in registry.snapshot()] == [[(("b", "y"),)]]


def test_a_histogram_is_shown_in_its_familys_unit_with_exact_bounds() -> None:
    registry = Registry(SystemClock())
    sets = registry.label_sets((), 10, None)
    column = HistogramColumn(sets, [[2_000_000, 4_000_000]], native=False)
    family = Family("d_milliseconds", "histogram", "D.")
    registry.expose_histogram(family, sets, column, unit_ns=MILLISECONDS)
    rows = sets.rows([()] * 3, 0)
    column.observe(rows, np.array([2_000_000, 2_000_001, 9_000_000], np.uint64), np.ones(3))
    (shown,) = registry.snapshot()
    assert isinstance(shown.data, Histograms)
    assert shown.data.bounds == (2.0, 4.0)
    assert shown.data.bucket_counts.tolist() == [[1.0, 1.0, 1.0]]
    assert shown.data.sums.tolist() == [13.000001]
    assert shown.data.counts.tolist() == [3.0]


def test_gauges_that_are_looked_up_are_refreshed_before_each_snapshot() -> None:
    registry = Registry(SystemClock())
    gauge = registry.gauge("g", "G.")
    readings = iter([1.0, 2.0])
    registry.before_snapshot(lambda: gauge.set(next(readings)))
    values = [family.data for _ in range(2) for family in registry.snapshot()]
    assert [data.values.tolist() for data in values if isinstance(data, Values)] == [[1.0], [2.0]]


def test_figures_changed_together_are_seen_together() -> None:
    registry = Registry(SystemClock())
    left, right = registry.counter("l_total", "L."), registry.counter("r_total", "R.")
    left.add(0)
    right.add(0)
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            with registry.lock:
                left.add(1)
                right.add(1)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            values = [family.data for family in registry.snapshot()]
            first, second = (data.values[0] for data in values if isinstance(data, Values))
            assert first == second
    finally:
        stop.set()
        thread.join()
