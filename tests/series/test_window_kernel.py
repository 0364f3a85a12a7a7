"""The kernel of windows and the reference agree in every cell and every quantile."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanmill.kernels import load_kernel
from spanmill.series.window import SLOT_NS, SlotRing
from spanmill.series.window_histogram import Arrived, HistogramWindow, buckets_of
from spanmill.series.window_pending import NO_ROW, CompiledPending, Sums

KERNEL = load_kernel("spanmill.series._window")
pytestmark = pytest.mark.skipif(KERNEL is None, reason="spanmill.series._window is not built")

NEWEST = 1000
ROWS = 4
QUANTILES = (0.0, 0.5, 0.9, 0.95, 0.99, 1.0)
EDGES = [0, 1, 2, 3, 2**53 + 1, 2**62, 2**63, 2**64 - 1]
DURATIONS = st.integers(0, 2**64 - 1) | st.sampled_from(EDGES) | st.integers(10**6, 2 * 10**6)
ENDS = st.integers((NEWEST - 8) * SLOT_NS, (NEWEST + 3) * SLOT_NS) | st.sampled_from([0, 2**64 - 1])
WEIGHTS = st.sampled_from([1.0, 1.5, 0.0, -3.0, float("nan"), float("inf"), 2.0**56, 1 / 3])
SPANS = st.tuples(ENDS, DURATIONS, WEIGHTS, st.integers(0, 5))


def windows() -> list[tuple[SlotRing, HistogramWindow]]:
    made = []
    for kernel in (KERNEL, None):
        ring = SlotRing(5 * SLOT_NS)
        ring.advance(NEWEST * SLOT_NS)
        made.append((ring, HistogramWindow(ring, ROWS, kernel, seed=3)))
    return made


def assert_same(a: HistogramWindow, b: HistogramWindow) -> None:
    assert np.array_equal(a.quantiles(QUANTILES), b.quantiles(QUANTILES), equal_nan=True)
    assert np.array_equal(a.totals(), b.totals())
    for name in ("slots", "rows", "buckets", "counts"):
        assert np.array_equal(getattr(a.cells(), name), getattr(b.cells(), name))


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.lists(SPANS, max_size=30),
            st.lists(st.integers(NO_ROW, ROWS - 1), min_size=6, max_size=6),
            st.integers(0, 3),
            st.lists(st.integers(0, ROWS - 1), max_size=2, unique=True),
        ),
        max_size=6,
    )
)
def test_any_spans_give_the_same(
    steps: list[tuple[list[tuple[int, int, float, int]], list[int], int, list[int]]],
) -> None:
    both = windows()
    now = NEWEST
    for spans, rows, slots, cleared in steps:
        now += slots
        weighed = []
        for ring, window in both:
            ring.advance(now * SLOT_NS)
            window.drop_old()
            window.clear(cleared)
            arrived = Arrived(
                end=np.array([span[0] for span in spans], np.uint64),
                duration=np.array([span[1] for span in spans], np.uint64),
                weight=np.array([span[2] for span in spans], np.float64),
                groups=np.array([span[3] for span in spans], np.int32),
                arrival_ns=now * SLOT_NS + 1,
                oldest=ring.oldest,
            )
            weights, counts, late = window.weigh(arrived, 6)
            weighed.append((weights.tolist(), counts.tolist(), late))
            window.observe_groups(arrived, np.array(rows, np.int64))
        assert weighed[0] == weighed[1]
        assert_same(both[0][1], both[1][1])


def test_more_than_may_wait_gives_the_same() -> None:
    rng = np.random.default_rng(11)
    spans = 200_000
    both = windows()
    for ring, window in both:
        arrived = Arrived(
            end=rng.integers((NEWEST - 5) * SLOT_NS, NEWEST * SLOT_NS, spans).astype(np.uint64),
            duration=np.exp2(rng.uniform(0, 63.9, spans)).astype(np.uint64),
            weight=rng.uniform(0, 5, spans),
            groups=rng.integers(0, ROWS, spans).astype(np.int32),
            arrival_ns=NEWEST * SLOT_NS,
            oldest=ring.oldest,
        )
        window.observe_groups(arrived, np.arange(ROWS))
        rng = np.random.default_rng(11)
    assert_same(both[0][1], both[1][1])


@given(st.lists(DURATIONS | st.integers(0, 64).map(lambda power: 2**power - (power == 64))))
def test_every_duration_has_the_same_bucket(durations: list[int]) -> None:
    assert KERNEL is not None
    array = np.array(durations, np.uint64)
    n = len(array)
    sums = Sums.empty(max(1, n))
    arrived = Arrived(
        end=np.zeros(n, np.uint64),
        duration=array,
        weight=np.ones(n),
        groups=np.arange(n, dtype=np.int32),
        arrival_ns=0,
        oldest=0,
    )
    CompiledPending(KERNEL, 1).observe(arrived, np.arange(n), sums, 0)
    assert sums.counts[:n].argmax(axis=1).tolist() == buckets_of(array).tolist()
