"""Merging columns: as if one column had seen everything, in whatever order."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.series.counter import CounterColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.label_sets import LabelSets

ROWS = np.array([1, 2])
BOUNDS = ((2_000_000, 8_000_000), (4_000_000,))

some_durations = st.lists(st.one_of(st.just(0), st.integers(0, 2**48)), max_size=12)
parts = st.tuples(some_durations, some_durations, some_durations)


def column_of(nanoseconds: list[int]) -> HistogramColumn:
    column = HistogramColumn(LabelSets((), 10, None), BOUNDS, native=True)
    observe(column, nanoseconds)
    return column


def observe(column: HistogramColumn, nanoseconds: list[int]) -> None:
    """Weights of quarters, whose sums are exact."""
    durations = np.array(nanoseconds, np.uint64)
    column.observe(np.arange(len(durations)) % 2 + 1, durations, 1 + durations % 4 / 4)


def shown(column: HistogramColumn) -> list[object]:
    found: list[object] = []
    for layout in range(len(BOUNDS)):
        data = column.snapshot(ROWS, layout, 1, native=True)
        assert data.native is not None
        found += [data.bucket_counts.tolist(), data.sums.tolist()]
        for native in data.native:
            found.append((native.schema, native.zero_count, native.first, native.counts.tolist()))
    return found


@given(parts)
def test_histograms_merge_in_any_order_and_grouping(parts: tuple[list[int], ...]) -> None:
    results = []
    for order in permutations(parts):
        left = column_of(order[0])
        left.merge(ROWS, column_of(order[1]), ROWS)
        left.merge(ROWS, column_of(order[2]), ROWS)
        results.append(shown(left))
        tail = column_of(order[1])
        tail.merge(ROWS, column_of(order[2]), ROWS)
        right = column_of(order[0])
        right.merge(ROWS, tail, ROWS)
        results.append(shown(right))
    assert all(result == results[0] for result in results)


@given(st.lists(st.integers(0, 2**46), max_size=20), st.lists(st.integers(0, 2**46), max_size=20))
def test_merged_histograms_are_those_of_all_observations(a: list[int], b: list[int]) -> None:
    merged = column_of(a)
    merged.merge(ROWS, column_of(b), ROWS)
    both = HistogramColumn(LabelSets((), 10, None), BOUNDS, native=True)
    for part in (a, b):
        observe(both, part)
    assert shown(merged) == shown(both)


def test_histograms_with_other_bounds_are_not_merged() -> None:
    other = HistogramColumn(LabelSets((), 10, None), [(1,)], native=True)
    with pytest.raises(ValueError, match="other buckets"):
        column_of([]).merge(ROWS, other, ROWS)


@given(st.lists(st.lists(st.integers(0, 2**40), min_size=2, max_size=2), min_size=1, max_size=4))
def test_counters_merge_to_the_sum(amounts: list[list[int]]) -> None:
    merged = CounterColumn(LabelSets((), 10, None))
    for amount in amounts:
        part = CounterColumn(LabelSets((), 10, None))
        part.add(ROWS, np.array(amount, np.float64))
        merged.merge(ROWS, part, ROWS)
    assert merged.values(ROWS).tolist() == np.sum(amounts, axis=0).tolist()
