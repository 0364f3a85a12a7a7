"""The pool of exemplars: who gets a place, for how long, and what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.series.exemplars import ExemplarPool, HistogramExemplars
from spanmill.series.label_sets import LabelSets
from spanmill.series.registry import MILLISECONDS, SECONDS
from spanmill.series.snapshot import Exemplar
from spanmill.series.trace_sampling import kept

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
NOW = 1_700_000_000 * SECOND
FAST_AND_SLOW = ((10 * MILLISECOND, SECOND), (MILLISECOND, 10 * MILLISECOND, 500 * MILLISECOND))
ROWS = 4


@dataclass(frozen=True)
class Observation:
    row: int = 1
    duration: int = 5 * MILLISECOND
    trace: int = 1
    span: int = 1
    error: bool = False
    second: int = 0


def label_sets_of(rows: int = ROWS) -> LabelSets:
    """Label sets with rows 1 to `rows`."""
    label_sets = LabelSets(("name",), rows, SECOND)
    label_sets.rows([(f"name {row}",) for row in range(1, rows + 1)], NOW)
    return label_sets


def pool_of(size: int = 100, ratio: float = 1.0) -> tuple[ExemplarPool, HistogramExemplars]:
    pool = ExemplarPool(size, ratio)
    return pool, pool.histogram(label_sets_of(), FAST_AND_SLOW)


def trace_bytes(number: int) -> bytes:
    return number.to_bytes(16, "big")


def observe(histogram: HistogramExemplars, batch: Sequence[Observation]) -> None:
    """Observe in one batch a second, in the order in which the seconds come."""
    for second in dict.fromkeys(o.second for o in batch):
        now = [o for o in batch if o.second == second]
        histogram.observe(
            np.array([o.row for o in now], np.int64),
            np.array([o.duration for o in now], np.uint64),
            trace_ids=ids([trace_bytes(o.trace) for o in now], 16),
            span_ids=ids([o.span.to_bytes(8, "big") for o in now], 8),
            errors=np.array([o.error for o in now]),
            arrival_ns=NOW + second * SECOND,
        )


def ids(values: list[bytes], width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.frombuffer(b"".join(values), np.uint8).reshape(-1, width)


def shown(
    histogram: HistogramExemplars, layout: int = 0, rows: Sequence[int] = range(ROWS + 1)
) -> dict[int, dict[int, Exemplar]]:
    """By row and bucket."""
    found = histogram.exemplars(np.array(rows, np.int64), layout, SECONDS)
    return {rows[position]: dict(found[position]) for position in found}


def traces(histogram: HistogramExemplars, layout: int = 0) -> dict[int, dict[int, int]]:
    """The number of the trace by row and bucket."""
    return {
        row: {bucket: int(exemplar.labels[0][1], 16) for bucket, exemplar in buckets.items()}
        for row, buckets in shown(histogram, layout).items()
    }


def test_an_exemplar_leads_to_its_span_with_its_exact_duration_and_arrival() -> None:
    _, histogram = pool_of()
    observe(histogram, [Observation(row=2, duration=20 * MILLISECOND, trace=0xABC, span=0xDEF)])
    assert shown(histogram) == {
        2: {
            1: Exemplar(
                labels=(("trace_id", f"{0xABC:032x}"), ("span_id", f"{0xDEF:016x}")),
                value=0.02,
                seconds=NOW / SECOND,
            )
        }
    }


def test_every_layout_finds_an_exemplar_of_its_own_buckets() -> None:
    _, histogram = pool_of()
    durations = (MILLISECOND, 2 * MILLISECOND, 600 * MILLISECOND, 2 * SECOND)
    observe(
        histogram,
        [Observation(duration=d, trace=i) for i, d in enumerate(durations, start=1)],
    )
    seconds, milliseconds = traces(histogram, 0)[1], traces(histogram, 1)[1]
    # A finer bucket of the other layout may be shown for the coarser: here traces 1 and 2.
    assert {bucket: {trace} & {1, 2} or {trace} for bucket, trace in seconds.items()} == {
        0: {seconds[0]},
        1: {3},
        2: {4},
    }
    assert seconds[0] in {1, 2}
    assert milliseconds == {0: 1, 1: 2, 3: milliseconds[3]}
    assert milliseconds[3] in {3, 4}


def test_a_duration_on_a_bound_belongs_to_the_bucket_below_it() -> None:
    _, histogram = pool_of()
    observe(histogram, [Observation(duration=10 * MILLISECOND)])
    assert set(shown(histogram, 0)[1]) == {0}
    assert set(shown(histogram, 1)[1]) == {1}


@given(st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=20))
def test_each_populated_bucket_has_an_exemplar_within_its_bounds(durations: list[int]) -> None:
    _, histogram = pool_of()
    observe(histogram, [Observation(duration=d, trace=i) for i, d in enumerate(durations, 1)])
    for layout, (bounds, unit) in enumerate(
        zip(FAST_AND_SLOW, (SECONDS, MILLISECONDS), strict=True)
    ):
        found = histogram.exemplars(np.array([1]), layout, unit)[0]
        populated = set(np.searchsorted(bounds, durations).tolist())
        assert set(found) == populated
        limits = [-1.0, *(bound / unit for bound in bounds), np.inf]
        for bucket, exemplar in found.items():
            assert limits[bucket] < exemplar.value <= limits[bucket + 1]


def test_the_newer_replaces_the_older() -> None:
    _, histogram = pool_of()
    observe(histogram, [Observation(trace=1), Observation(trace=2, second=1)])
    assert traces(histogram) == {1: {0: 2}}
    observe(histogram, [Observation(trace=3, second=1), Observation(trace=4, second=2)])
    assert traces(histogram) == {1: {0: 4}}


def a_trace(ratio: float, wanted: bool) -> int:
    """A trace that the sampler keeps, or doesn't."""
    random = Random(4)
    numbers = [random.getrandbits(128) for _ in range(1000)]
    decisions = kept(ids([trace_bytes(number) for number in numbers], 16), ratio)
    return numbers[int(np.flatnonzero(decisions == wanted)[0])]


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.9])
def test_an_error_is_not_replaced_by_a_newer_trace_that_is_dropped(ratio: float) -> None:
    _, histogram = pool_of(ratio=ratio)
    dropped = a_trace(ratio, False)
    observe(
        histogram,
        [Observation(trace=7777, error=True), Observation(trace=dropped, second=5)],
    )
    assert traces(histogram) == {1: {0: 7777}}


def test_a_kept_trace_replaces_a_newer_one_that_is_dropped() -> None:
    _, histogram = pool_of(ratio=0.1)
    dropped, keeps = a_trace(0.1, False), a_trace(0.1, True)
    observe(histogram, [Observation(trace=dropped, second=5)])
    assert traces(histogram) == {1: {0: dropped}}
    observe(histogram, [Observation(trace=keeps, second=3)])
    assert traces(histogram) == {1: {0: keeps}}


def test_an_exemplar_that_nothing_replaces_goes_when_it_is_old() -> None:
    pool, histogram = pool_of()
    observe(histogram, [Observation(row=1), Observation(row=2, second=200)])
    pool.expire(NOW + 300 * SECOND - 1)
    assert set(traces(histogram)) == {1, 2}
    pool.expire(NOW + 300 * SECOND)
    assert set(traces(histogram)) == {2}
    assert len(pool) == 1


HOUR = 3_600


@pytest.mark.parametrize("steps", [(HOUR, -HOUR), (-HOUR, HOUR)])
def test_after_a_clock_was_set_new_exemplars_are_shown_from_the_next_tick_on(
    steps: tuple[int, int],
) -> None:
    pool, histogram = pool_of(size=2)
    now = 0
    for number, step in enumerate((0, *steps), 1):
        now += step
        pool.expire(NOW + now * SECOND)
        assert len(pool) == 0 or not step
        observe(
            histogram,
            [Observation(row=row, trace=10 * number + row, second=now) for row in (1, 2, 3)],
        )
        found = {trace for buckets in traces(histogram).values() for trace in buckets.values()}
        assert len(found) == 2
        assert found < {10 * number + row for row in (1, 2, 3)}


def test_an_exemplar_that_lies_ahead_by_less_than_a_clock_is_set_by_stays() -> None:
    pool, histogram = pool_of()
    observe(histogram, [Observation(second=1)])
    pool.expire(NOW)
    assert len(pool) == 1


def test_reading_takes_nothing_away() -> None:
    _, histogram = pool_of(size=2)
    observe(histogram, [Observation(row=row, trace=row) for row in (1, 2, 3)])
    assert shown(histogram) == shown(histogram)
    assert len(shown(histogram)) == 2


def test_a_label_set_that_expires_takes_its_exemplars_along() -> None:
    pool = ExemplarPool(100)
    label_sets = label_sets_of()
    histogram = pool.histogram(label_sets, FAST_AND_SLOW)
    observe(histogram, [Observation(row=row) for row in (1, 2)])
    label_sets.rows([("name 2",)], NOW + 10 * SECOND)
    label_sets.expire(NOW + 10 * SECOND)
    (reused,) = label_sets.rows([("another",)], NOW + 10 * SECOND).tolist()
    assert reused != 2
    assert set(traces(histogram)) == {2}
    assert len(pool) == 1
    observe(histogram, [Observation(row=reused, trace=9, second=10)])
    assert traces(histogram)[reused] == {0: 9}


def test_label_sets_that_come_later_have_places_too() -> None:
    pool = ExemplarPool(1000)
    label_sets = LabelSets(("name",), 500, None)
    histogram = pool.histogram(label_sets, FAST_AND_SLOW)
    rows = label_sets.rows([(str(i),) for i in range(100)], NOW).tolist()
    observe(histogram, [Observation(row=row, trace=row) for row in rows])
    more = label_sets.rows([(f"more {i}",) for i in range(300)], NOW).tolist()
    observe(histogram, [Observation(row=row, trace=row) for row in more])
    found = histogram.exemplars(np.array([*rows, *more]), 0, SECONDS)
    assert [int(found[i][0].labels[0][1], 16) for i in range(400)] == [*rows, *more]


def test_only_the_rows_that_are_asked_for_are_shown_at_their_position() -> None:
    _, histogram = pool_of()
    observe(histogram, [Observation(row=row, trace=row) for row in (1, 2, 3)])
    found = histogram.exemplars(np.array([3, 4, 1]), 0, SECONDS)
    assert {i: int(found[i][0].labels[0][1], 16) for i in found} == {0: 3, 2: 1}
    assert len(found) == 2


def test_histograms_share_the_bound_and_the_newest_stay() -> None:
    pool = ExemplarPool(3)
    graph, spans = (pool.histogram(label_sets_of(), FAST_AND_SLOW) for _ in range(2))
    observe(spans, [Observation(row=row, trace=row) for row in (1, 2, 3, 4)])
    observe(graph, [Observation(row=row, trace=row, second=1) for row in (1, 2)])
    assert len(pool) == 3
    assert set(traces(graph)) == {1, 2}
    assert len(traces(spans)) == 1


def test_the_pool_is_never_larger_than_its_bound() -> None:
    pool = ExemplarPool(10)
    label_sets = LabelSets(("name",), 1000, None)
    histogram = pool.histogram(label_sets, FAST_AND_SLOW)
    rows = label_sets.rows([(str(i),) for i in range(1000)], NOW).tolist()
    for second in range(5):
        observe(histogram, [Observation(row=row, trace=row, second=second) for row in rows])
        assert len(pool) == 10
        found = histogram.exemplars(label_sets.live_rows(), 0, SECONDS)
        assert sum(len(found[i]) for i in found) <= 10
        assert {e.seconds for i in found for e in found[i].values()} == {NOW / SECOND + second}


observations = st.builds(
    Observation,
    row=st.integers(1, ROWS),
    duration=st.sampled_from([0, MILLISECOND, 5 * MILLISECOND, 2 * SECOND]),
    trace=st.integers(1, 6),
    span=st.integers(1, 3),
    error=st.booleans(),
    second=st.integers(0, 2),
)
sizes = st.sampled_from([1, 3, 8, 100])
ratios = st.sampled_from([0.0, 0.5, 1.0])


def filled(batches: Sequence[Sequence[Observation]], size: int, ratio: float) -> HistogramExemplars:
    _, histogram = pool_of(size, ratio)
    for batch in batches:
        observe(histogram, batch)
    return histogram


@given(st.lists(observations, max_size=40), sizes, ratios, st.data())
def test_neither_order_nor_split_of_batches_changes_what_is_shown(
    all_of_them: list[Observation], size: int, ratio: float, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(all_of_them))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    batches = [
        shuffled[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)
    ]
    at_once, in_parts = filled([all_of_them], size, ratio), filled(batches, size, ratio)
    for layout in range(2):
        assert shown(in_parts, layout) == shown(at_once, layout)


def same_as_at_once(parts: HistogramExemplars, everything: list[Observation], size: int) -> None:
    at_once = filled([everything], size, 0.5)
    assert [shown(parts, i) for i in range(2)] == [shown(at_once, i) for i in range(2)]


@given(*[st.lists(observations, max_size=15)] * 3, sizes)
def test_merging_is_commutative_and_associative_and_the_same_as_one_pool(
    a: list[Observation], b: list[Observation], c: list[Observation], size: int
) -> None:
    rows = np.arange(64)
    left = filled([a], size, 0.5)
    left.merge(filled([b], size, 0.5), rows)
    left.merge(filled([c], size, 0.5), rows)
    same_as_at_once(left, [*a, *b, *c], size)

    inner = filled([c], size, 0.5)
    inner.merge(filled([b], size, 0.5), rows)
    right = filled([], size, 0.5)
    right.merge(inner, rows)
    right.merge(filled([a], size, 0.5), rows)
    same_as_at_once(right, [*a, *b, *c], size)


def test_a_merge_puts_exemplars_at_the_rows_of_their_label_sets_here() -> None:
    here, there = filled([], 10, 1.0), filled([[Observation(row=1), Observation(row=3)]], 10, 1.0)
    here.merge(there, np.array([0, 4, 0, 2]))
    assert set(traces(here)) == {2, 4}


def test_other_bounds_are_not_merged() -> None:
    other = ExemplarPool(10).histogram(label_sets_of(), [[1, 2, 3]])
    with pytest.raises(ValueError, match="bounds"):
        filled([], 10, 1.0).merge(other, np.arange(64))


def test_a_span_that_comes_again_changes_nothing() -> None:
    span = Observation(trace=3, span=2)
    histogram = filled([[span], [span], [replace(span)]], 10, 1.0)
    assert shown(histogram) == shown(filled([[span]], 10, 1.0))
