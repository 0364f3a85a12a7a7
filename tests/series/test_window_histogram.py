"""What the histograms of a sliding window promise about quantiles and sums."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_choice import kernel_or_reference
from spanmill.kernels import load_kernel
from spanmill.series.window import SLOT_NS, SlotRing
from spanmill.series.window_histogram import (
    BUCKETS,
    Cells,
    HistogramWindow,
    bounded_weights,
    buckets_of,
)

KERNEL = "spanmill.series._window"
choice = kernel_or_reference(KERNEL)

GUARANTEE = 0.011
NEWEST = 170_000_000
QUANTILES = [0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0]
ROWS = 3
EVERYWHERE = [int(2 ** ((bucket + 0.5) / 32)) for bucket in range(400, 2000)]

Floats = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]

DISTRIBUTIONS: dict[str, Draw] = {
    "uniform": lambda rng, n: rng.uniform(1e6, 1e8, n),
    "lognormal": lambda rng, n: rng.lognormal(np.log(20e6), 1.5, n),
    "exponential": lambda rng, n: rng.exponential(30e6, n),
    "bimodal": lambda rng, n: np.where(
        rng.random(n) < 0.8, rng.normal(2e6, 1e5, n), rng.normal(9e8, 5e7, n)
    ),
    "heavy tail": lambda rng, n: 1e6 * (1 + rng.pareto(0.9, n)),
}


def window_at(newest: int = NEWEST, slots: int = 30, rows: int = ROWS) -> HistogramWindow:
    return on_ring(ring_at(newest, slots), rows)


def ring_at(newest: int = NEWEST, slots: int = 30) -> SlotRing:
    ring = SlotRing(slots * SLOT_NS)
    ring.advance(newest * SLOT_NS)
    return ring


def on_ring(ring: SlotRing, rows: int = ROWS) -> HistogramWindow:
    return HistogramWindow(ring, rows, load_kernel(KERNEL), seed=7)


def observe(
    window: HistogramWindow,
    durations: list[int],
    slot: int = NEWEST,
    row: int = 0,
    weight: float = 1.0,
) -> None:
    n = len(durations)
    window.observe(
        np.full(n, slot),
        np.full(n, row),
        np.array(durations, np.uint64),
        bounded_weights(np.full(n, weight)),
    )


def exact(durations: npt.NDArray[np.uint64], weights: Floats, quantile: float) -> int:
    """The least value that at least the share of the weight doesn't exceed."""
    order = np.argsort(durations, kind="stable")
    running = np.cumsum(weights[order])
    rank = int(np.searchsorted(running, quantile * running[-1] * (1 - 1e-12)))
    return int(durations[order][rank])


def same(cells: Cells, others: Cells) -> bool:
    return all(
        np.array_equal(getattr(cells, name), getattr(others, name))
        for name in ("slots", "rows", "buckets", "counts")
    )


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_quantiles_are_within_1_1_percent_of_the_exact_ones(name: str, weighted: bool) -> None:
    rng = np.random.default_rng(7)
    for n in (1, 2, 10, 999, 50_000):
        durations = np.maximum(DISTRIBUTIONS[name](rng, n), 1).astype(np.uint64)
        weights = rng.choice([1.0, 2.0, 10.0, 100.0], n) if weighted else np.ones(n)
        window = window_at()
        slots = rng.integers(NEWEST - 30, NEWEST + 1, n)
        window.observe(slots, np.full(n, 1), durations, weights)
        found = window.quantiles(QUANTILES)
        truth = np.array([exact(durations, weights, quantile) for quantile in QUANTILES])
        assert np.abs(found[1] / truth - 1).max() <= GUARANTEE
        assert np.isnan(found[[0, 2]]).all()


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50), st.sampled_from(QUANTILES[1:]))
def test_quantiles_of_any_durations_are_within_1_1_percent(
    durations: list[int], quantile: float
) -> None:
    window = window_at()
    observe(window, durations)
    array = np.array(durations, np.uint64)
    truth = exact(array, np.ones(len(array)), quantile)
    assert abs(float(window.quantiles([quantile])[0, 0]) - truth) <= GUARANTEE * truth


def test_a_rank_that_is_a_whole_number_is_not_passed() -> None:
    window = window_at()
    observe(window, [1_000_000] * 19 + [1_000_000_000])
    shown = window.quantiles([0.95, 0.951])[0]
    assert shown[0] == pytest.approx(1e6, rel=GUARANTEE)
    assert shown[1] == pytest.approx(1e9, rel=GUARANTEE)


def test_every_duration_has_a_bucket() -> None:
    durations = np.array([0, 1, 2, 3, 2**53 + 1, 2**63, 2**64 - 1], np.uint64)
    buckets = buckets_of(durations)
    assert buckets.tolist()[:3] == [0, 1, 33]
    assert np.all(np.diff(buckets) > 0)
    assert buckets[-1] == BUCKETS - 1


def test_zero_is_exact() -> None:
    window = window_at()
    observe(window, [0, 0, 0, 5_000])
    assert window.quantiles([0.5])[0, 0] == 0.0


def test_a_span_counts_as_many_times_as_its_weight() -> None:
    window = window_at()
    observe(window, [1_000_000], weight=99.0)
    observe(window, [1_000_000_000])
    assert window.totals().tolist() == [100.0, 0.0, 0.0]
    assert window.quantiles([0.99])[0, 0] == pytest.approx(1e6, rel=GUARANTEE)


@pytest.mark.parametrize(
    ("weight", "counted"),
    [(float("nan"), 0.0), (-3.0, 0.0), (float("inf"), 2.0**24), (2.0**56, 2.0**24), (1.5, 1.5)],
)
def test_no_weight_does_harm(weight: float, counted: float) -> None:
    window = window_at()
    observe(window, [1_000], weight=weight)
    assert window.totals()[0] == counted


def test_what_leaves_the_window_leaves_nothing_behind() -> None:
    rng = np.random.default_rng(3)
    ring = ring_at()
    window = on_ring(ring)
    n = 200_000  # more than are kept unsorted
    slots = rng.integers(NEWEST - 30, NEWEST + 1, n)
    durations = rng.lognormal(16, 2, n).astype(np.uint64)
    weights = bounded_weights(1 / rng.uniform(1e-6, 1, n))
    window.observe(slots, rng.integers(0, ROWS, n), durations, weights)
    for step in range(1, 32):
        ring.advance((NEWEST + step) * SLOT_NS)
        window.drop_old()
        left = slots > NEWEST - 31 + step
        assert window.totals().sum() == pytest.approx(weights[left].sum(), rel=2e-4)
    assert window.totals().tolist() == [0.0] * ROWS
    assert len(window.cells().counts) == 0
    assert np.isnan(window.quantiles([0.5])).all()


def test_a_clear_row_is_empty_and_its_neighbours_are_not() -> None:
    window = window_at()
    for row in range(ROWS):
        observe(window, [1_000, 2_000], row=row)
    window.clear([1])
    assert window.totals().tolist() == [2.0, 0.0, 2.0]
    observe(window, [1_000_000], row=1)
    assert window.quantiles([0.0])[1, 0] == pytest.approx(1e6, rel=GUARANTEE)


def test_the_memory_is_bounded_by_giving_up_the_oldest_slots() -> None:
    ring = ring_at(slots=30)
    rows = 256
    window = on_ring(ring, rows)
    for slot in range(NEWEST - 30, NEWEST + 1):
        for row in range(rows):
            observe(window, EVERYWHERE, slot, row)
    cells = window.cells()
    assert len(cells.counts) <= 128 * rows * 31
    assert sorted(set(cells.slots.tolist())) == [NEWEST - 1, NEWEST]
    assert ring.oldest == NEWEST - 1
    assert window.totals().tolist() == [2.0 * len(EVERYWHERE)] * rows


def test_a_single_slot_is_never_given_up() -> None:
    rows = 256
    window = window_at(slots=1, rows=rows)
    for row in range(rows):
        observe(window, EVERYWHERE, row=row)
    assert len(window.cells().counts) == 1600 * rows > 2 * 128 * rows
    assert window.totals().tolist() == [1600.0] * rows


def test_rows_that_a_cell_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="rows"):
        window_at(rows=3_000_000)


observations = st.lists(
    st.tuples(
        st.integers(NEWEST - 4, NEWEST),
        st.integers(0, ROWS - 1),
        st.integers(0, 2**64 - 1) | st.integers(10**6, 10**6 + 10**5),
        st.floats(0.1, 1e6),
    ),
    max_size=30,
)
Observations = list[tuple[int, int, int, float]]


def window_of(*lists: Observations, newest: int = NEWEST) -> HistogramWindow:
    window = window_at(newest, slots=4)
    for spans in lists:
        if spans:
            slots, rows, durations, weights = zip(*spans, strict=True)
            window.observe(
                np.array(slots), np.array(rows), np.array(durations, np.uint64), np.array(weights)
            )
    return window


def merged(*windows: HistogramWindow) -> HistogramWindow:
    target = window_of()
    for window in windows:
        target.merge(window, np.arange(ROWS))
    return target


@given(observations, observations, observations)
def test_merging_is_associative_and_commutative(
    a: Observations, b: Observations, c: Observations
) -> None:
    together = window_of(a, b, c).cells()
    left = merged(merged(window_of(a), window_of(b)), window_of(c))
    right = merged(window_of(a), merged(window_of(b), window_of(c)))
    turned = merged(window_of(c), window_of(b), window_of(a))
    for window in (left, right, turned):
        assert same(window.cells(), together)
        assert np.array_equal(
            window.quantiles(QUANTILES), window_of(a, b, c).quantiles(QUANTILES), equal_nan=True
        )


@given(observations, st.randoms(use_true_random=False))
def test_neither_order_nor_the_size_of_batches_changes_anything(
    spans: Observations, random: Random
) -> None:
    shuffled = list(spans)
    random.shuffle(shuffled)
    assert same(window_of(spans).cells(), window_of(*([span] for span in shuffled)).cells())


def test_merging_puts_rows_where_they_belong_and_leaves_out_those_without_a_place() -> None:
    source, target = window_at(), window_at()
    for row in range(ROWS):
        observe(source, [1_000] * (row + 1), row=row)
    target.merge(source, np.array([2, -1, 0]))
    assert target.totals().tolist() == [3.0, 0.0, 1.0]


def test_merging_leaves_out_what_the_ring_does_not_cover() -> None:
    source, target = window_at(), window_at(NEWEST + 10)
    observe(source, [1_000], slot=NEWEST)
    observe(source, [1_000], slot=NEWEST - 30)
    target.merge(source, np.arange(ROWS))
    assert target.totals()[0] == 1.0
