"""Large groups of label sets are read in slices, and what changes meanwhile does no harm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanmill.clock import SystemClock
from spanmill.series.counter import CounterColumn
from spanmill.series.exemplars import ExemplarPool
from spanmill.series.histogram import HistogramColumn
from spanmill.series.label_sets import LabelSets
from spanmill.series.registry import MILLISECONDS, LabelDialect, Registry
from spanmill.series.slices import SLICE_ROWS
from spanmill.series.snapshot import Family, FamilySnapshot, Histograms, Values

SECOND = 1_000_000_000
LARGE = 3 * SLICE_ROWS - 100


@dataclass
class Shop:
    """A registry with a counter, a histogram and exemplars for label sets named by number."""

    registry: Registry = field(default_factory=lambda: Registry(SystemClock()))
    now: int = SECOND
    sets: LabelSets = field(init=False)

    def __post_init__(self) -> None:
        self.sets = self.registry.label_sets(("number",), 10**6, 10 * SECOND)
        self.calls = CounterColumn(self.sets)
        self.latency = HistogramColumn(self.sets, [[1_000_000, 2_000_000]], native=True)
        self.exemplars = ExemplarPool(100).histogram(self.sets, [[1_000_000, 2_000_000]])
        self.registry.expose_values(Family("calls_total", "counter", ""), self.sets, self.calls)
        self.registry.expose_histogram(
            Family("latency", "histogram", ""),
            self.sets,
            self.latency,
            native=True,
            exemplars=self.exemplars,
        )

    def call(self, *numbers: int) -> None:
        """Call each of these once; its duration in ms is its number, modulo 4."""
        rows = self.sets.rows([(str(number),) for number in numbers], self.now)
        durations = np.array([number % 4 * 1_000_000 for number in numbers], np.uint64)
        self.calls.add(rows, np.ones(len(rows)))
        self.latency.observe(rows, durations, np.ones(len(rows)))
        ids = np.array(numbers, np.uint64)[:, np.newaxis]
        self.exemplars.observe(
            rows,
            durations,
            trace_ids=np.hstack((ids, ids)).view(np.uint8),
            span_ids=ids.view(np.uint8),
            errors=np.zeros(len(rows), np.bool_),
            arrival_ns=self.now,
        )

    def forget_all(self) -> None:
        self.now += 20 * SECOND
        self.registry.expire(self.now)


def numbers(snapshots: list[FamilySnapshot], name: str) -> list[int]:
    return [
        int(values[0])
        for snapshot in snapshots
        for values in snapshot.labels
        if snapshot.family.name == name and values is not None
    ]


def test_what_is_large_comes_in_slices_with_all_its_series_in_order() -> None:
    shop = Shop()
    shop.call(*range(LARGE))
    shown = list(shop.registry.families())
    assert [s.family.name for s in shown] == ["calls_total"] * 3 + ["latency"] * 3
    assert numbers(shown, "calls_total") == numbers(shown, "latency") == list(range(LARGE))
    assert max(len(snapshot.labels) for snapshot in shown) == SLICE_ROWS


def test_the_slices_of_a_family_together_are_what_a_snapshot_has() -> None:
    shop = Shop()
    shop.call(*range(LARGE), *range(7))
    (calls, latency) = shop.registry.snapshot()
    assert isinstance(calls.data, Values)
    assert isinstance(latency.data, Histograms)
    slices = list(shop.registry.families())
    values = np.concatenate([s.data.values for s in slices if isinstance(s.data, Values)])
    histograms = [s.data for s in slices if isinstance(s.data, Histograms)]
    assert np.array_equal(values, calls.data.values)
    assert np.array_equal(
        np.concatenate([h.bucket_counts for h in histograms]), latency.data.bucket_counts
    )
    begins = np.cumsum([0, *(len(h.counts) for h in histograms)]).tolist()
    exemplars = {
        begin + position: dict(each)
        for begin, h in zip(begins, histograms, strict=False)
        for position, each in h.exemplars.items()
    }
    assert exemplars == {position: dict(e) for position, e in latency.data.exemplars.items()}
    assert len(exemplars) == 100


def test_the_values_of_all_slices_belong_to_one_moment() -> None:
    shop = Shop()
    shop.call(*range(LARGE))
    reading = shop.registry.families()
    seen = [next(reading)]
    shop.call(*range(LARGE))
    seen += [s for s in reading if s.family.name == "calls_total"]
    total = sum(float(s.data.values.sum()) for s in seen if isinstance(s.data, Values))
    assert total == LARGE


def test_a_histogram_agrees_with_itself_while_others_observe() -> None:
    shop = Shop()
    shop.call(*range(LARGE))
    for snapshot in shop.registry.families():
        shop.call(*range(0, LARGE, 17))
        if isinstance(snapshot.data, Histograms) and snapshot.data.native is not None:
            data = snapshot.data
            native = [n.counts.sum() + n.zero_count for n in snapshot.data.native]
            assert np.array_equal(data.bucket_counts.sum(axis=1), data.counts)
            assert np.array_equal(native, data.counts)


def test_a_series_that_disappears_during_a_reading_is_left_out_and_its_row_not_mistaken() -> None:
    shop = Shop()
    shop.call(*range(LARGE))
    reading = shop.registry.families()
    seen = [next(reading)]
    shop.forget_all()
    shop.call(*range(LARGE, 2 * LARGE))  # they get the rows of those before
    seen += list(reading)
    assert numbers(seen, "calls_total") == list(range(SLICE_ROWS))
    assert numbers(seen, "latency") == []


def test_a_label_set_that_comes_back_during_a_reading_is_not_shown_twice() -> None:
    shop = Shop()
    shop.call(*range(LARGE))
    reading = shop.registry.families()
    seen = [next(reading)]
    shop.forget_all()
    shop.call(*reversed(range(LARGE)))
    seen += list(reading)
    assert numbers(seen, "calls_total") == list(range(SLICE_ROWS))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_no_reading_doubles_or_mixes_series(data: st.DataObject) -> None:
    """Whatever is added and removed between any two slices."""
    shop = Shop()
    shop.call(*range(LARGE))
    alive = set(range(LARGE))
    begun: set[int] | None = None
    seen: list[FamilySnapshot] = []
    reading: Iterator[FamilySnapshot] = shop.registry.families()
    while (snapshot := next(reading, None)) is not None:
        begun = begun or set(alive)
        seen.append(snapshot)
        shop.now += 6 * SECOND
        first = data.draw(st.integers(0, LARGE))
        kept = range(first, min(first + data.draw(st.integers(0, LARGE)), LARGE + 500))
        shop.call(*kept)
        shop.registry.expire(shop.now)
    assert begun is not None
    for name in ("calls_total", "latency"):
        found = numbers(seen, name)
        assert len(found) == len(set(found))
        assert set(found) <= begun
    for snapshot in seen:
        if isinstance(snapshot.data, Histograms):
            # Each is in the bucket of its own number: no row was taken for another's.
            own = [min(max(n % 4 - 1, 0), 2) for n in numbers([snapshot], "latency")]
            places = np.arange(len(own)), np.array(own, np.int64)
            assert np.array_equal(snapshot.data.bucket_counts[places], snapshot.data.counts)


def test_small_groups_are_taken_at_one_moment() -> None:
    shop = Shop()
    shop.call(1, 2)
    reading = shop.registry.families()
    first = next(reading)
    shop.call(1, 2, 3)
    (second,) = reading
    assert isinstance(first.data, Values)
    assert isinstance(second.data, Histograms)
    assert first.data.values.tolist() == second.data.counts.tolist() == [1.0, 1.0]


def test_a_dialect_names_the_labels_of_every_slice() -> None:
    shop = Shop()
    dialect = LabelDialect(("no",), lambda values: (f"no {values[0]}",))
    family = Family("latency_milliseconds", "histogram", "")
    shop.registry.expose_histogram(
        family, shop.sets, shop.latency, unit_ns=MILLISECONDS, dialect=dialect
    )
    shop.call(*range(LARGE))
    shown = [s for s in shop.registry.families() if s.family == family]
    assert [values for s in shown for values in s.labels] == [(f"no {n}",) for n in range(LARGE)]
    assert {s.label_names for s in shown} == {("no",)}


@pytest.mark.parametrize("size", [3, LARGE])
def test_a_family_shows_only_the_rows_that_another_column_chooses(size: int) -> None:
    shop = Shop()
    marks = CounterColumn(shop.sets)
    family = Family("marked_total", "counter", "")
    shop.registry.expose_values(family, shop.sets, shop.calls, where=marks)
    shop.call(*range(size))
    marks.add(shop.sets.rows([("2",), ("1",)], shop.now), np.ones(2))
    shown = [s for s in shop.registry.families() if s.family == family]
    assert numbers(shown, "marked_total") == [1, 2]
