"""The compiled table counts exactly what the arrays count."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanmill.kernels import load_kernel
from spanmill.series.histogram_arrays import HistogramArrays
from spanmill.series.histogram_state import HistogramState, HistogramStorage
from spanmill.series.histogram_table import CompactHistograms
from spanmill.series.native import MAX_BUCKETS

BOUNDS = np.array([1, 2_000_000, 8_000_000, 15_000_000_000], np.uint64)
ROWS = 3
EVERY_ROW = np.arange(ROWS)
TEN_BUCKETS = 2_000_000 * 2 ** np.arange(14, dtype=np.uint64)

_kernel = load_kernel("spanmill.series._table")
needs_kernel = pytest.mark.skipif(_kernel is None, reason="the kernel is not built")

durations = st.one_of(
    st.integers(0, 2**64 - 1),
    st.sampled_from([0, 1, 2, 10**9, 2**53 + 1, 2**63, 2**64 - 1]),
    st.integers(2_000_000, 2_000_100),
    st.integers(0, 40).map(lambda octave: 2**octave),
)
weights = st.sampled_from([1.0, 1.0, 2.0, 250.0, 70_000.0, 2.0**32 - 1, 2.0**40, 0.1, 1 / 3, 0.0])
spans = st.lists(st.tuples(st.integers(0, ROWS - 1), durations, weights), max_size=12)
steps = st.one_of(
    spans.map(lambda batch: ("observe", batch)),
    st.tuples(st.integers(0, ROWS - 1), st.lists(durations, max_size=300)).map(
        lambda row: ("observe_row", row)
    ),
    st.integers(0, ROWS - 1).map(lambda row: ("reset", row)),
    st.tuples(st.integers(0, ROWS - 1), st.integers(0, ROWS - 1)).map(lambda rows: ("merge", rows)),
    st.just(("grow", 2)),
)


def arrays(native: bool = True) -> HistogramStorage:
    storage = HistogramArrays(BOUNDS, native)
    storage.grow(ROWS)
    return storage


def table(native: bool = True) -> HistogramStorage:
    assert _kernel is not None, "the test is skipped without it"
    storage = CompactHistograms(_kernel, BOUNDS, native)
    storage.grow(ROWS)
    return storage


def columns(
    batch: list[tuple[int, int, float]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64], npt.NDArray[np.float64]]:
    return (
        np.array([row for row, _, _ in batch], np.int64),
        np.array([duration for _, duration, _ in batch], np.uint64),
        np.array([weight for _, _, weight in batch], np.float64),
    )


def do(storage: HistogramStorage, step: tuple[str, object], capacity: int) -> int:
    """Returns the capacity after it."""
    match step:
        case ("observe", list(batch)):
            storage.observe(*columns(batch))
        case ("observe_row", (int(row), list(some))):
            observe_row(storage, row, np.array(some, np.uint64))
        case ("reset", int(row)):
            storage.reset_rows(np.array([row]))
        case ("merge", (int(into), int(other))):
            # Twice into one row, as when two label sets there are one here.
            state = storage.state(np.array([other, other]))
            storage.merge_state(np.array([into, into]), state)
        case ("grow", int(times)):
            storage.grow(times * capacity)
            return times * capacity
        case _:
            raise AssertionError(step)
    return capacity


def observe_row(storage: HistogramStorage, row: int, lasted: npt.NDArray[np.uint64]) -> None:
    storage.observe(np.full(len(lasted), row), lasted, np.ones(len(lasted)))


def shown(storage: HistogramStorage, rows: npt.NDArray[np.int64] = EVERY_ROW) -> list[object]:
    return values(storage.state(rows))


def values(state: HistogramState) -> list[object]:
    found: list[object] = [state.sums.tolist(), state.bucket_counts.tolist()]
    if state.native is not None:
        native = state.native
        found += [native.schemas.tolist(), native.zero_counts.tolist(), native.firsts.tolist()]
        found += [native.begins.tolist(), native.counts.tolist()]
    return found


@needs_kernel
@given(st.lists(steps, max_size=12), st.booleans())
def test_the_table_and_the_arrays_agree_after_any_steps(
    done: list[tuple[str, object]], native: bool
) -> None:
    reference, compiled = arrays(native), table(native)
    capacity = ROWS
    for step in done:
        do(reference, step, capacity)
        capacity = do(compiled, step, capacity)
        assert shown(compiled) == shown(reference)


@needs_kernel
@given(spans, spans, st.lists(st.integers(0, ROWS - 1), max_size=5))
def test_a_state_goes_from_either_to_either(
    here: list[tuple[int, int, float]], there: list[tuple[int, int, float]], rows: list[int]
) -> None:
    results = []
    for make, make_other in ((table, arrays), (arrays, table), (table, table), (arrays, arrays)):
        into, other = make(), make_other()
        into.observe(*columns(here))
        other.observe(*columns(there))
        at = np.array(rows, np.int64)
        into.merge_state(at[::-1].copy(), other.state(at))
        results.append(shown(into))
    assert all(result == results[0] for result in results)


@needs_kernel
@given(spans)
def test_calls_and_sizes_are_added_along(batch: list[tuple[int, int, float]]) -> None:
    rows, lasted, weighted = columns(batch)
    sizes = np.arange(len(batch)) * 3 + 1
    results = []
    for storage in (arrays(), table()):
        calls, size_sums = np.zeros(ROWS), np.zeros(ROWS)
        sampled = storage.observe_spans(
            rows, lasted, weighted, sizes=sizes, calls=calls, size_sums=size_sums
        )
        results.append((sampled, calls.tolist(), size_sums.tolist(), shown(storage)))
    assert results[0] == results[1]


@needs_kernel
@given(st.integers(0, 63), st.integers(0, 255), st.integers(-3, 3))
def test_a_bucket_found_from_the_bits_is_the_references(octave: int, sub: int, off: int) -> None:
    """Around the bounds of buckets, where a guess would go wrong."""
    one = np.array([min(max(0, round(2 ** (octave + sub / 256)) + off), 2**64 - 1)], np.uint64)
    results = []
    for storage in (arrays(), table()):
        observe_row(storage, 0, one)
        results.append(shown(storage))
    assert results[0] == results[1]


@pytest.fixture(params=["arrays", pytest.param("table", marks=needs_kernel)])
def storage_of(request: pytest.FixtureRequest) -> Callable[[], HistogramStorage]:
    return arrays if request.param == "arrays" else table


@pytest.mark.parametrize("most", [255, 65_535, 2**32 - 1])
def test_a_counter_goes_on_where_its_width_ends(
    storage_of: Callable[[], HistogramStorage], most: int
) -> None:
    storage = storage_of()
    one = np.array([5_000_000], np.uint64)
    storage.observe(np.array([1]), one, np.array([float(most)]))
    observe_row(storage, 1, one)
    state = storage.state(np.array([1]))
    assert state.bucket_counts[0].tolist() == [0, 0, most + 1, 0, 0]
    assert state.native is not None
    assert state.native.counts.tolist() == [most + 1]


def test_the_range_of_a_row_stays_within_160_buckets(
    storage_of: Callable[[], HistogramStorage],
) -> None:
    storage = storage_of()
    lasted = (10 ** np.arange(20, dtype=np.float64)).astype(np.uint64)
    for duration in (lasted, lasted[::-1].copy()):
        observe_row(storage, 2, duration)
    native = storage.state(np.array([2])).native
    assert native is not None
    assert len(native.counts) <= MAX_BUCKETS
    assert native.counts.sum() == 40


@needs_kernel
def test_a_row_that_is_reset_gives_its_memory_back() -> None:
    storage = table()
    empty = storage.nbytes()
    observe_row(storage, 0, TEN_BUCKETS)
    assert storage.nbytes() > empty
    storage.reset_rows(np.array([0]))
    assert storage.nbytes() == empty


@needs_kernel
def test_250_000_rows_of_ten_populated_buckets_take_less_than_300_bytes_each() -> None:
    rows = 250_000
    assert _kernel is not None, "the test is skipped without it"
    storage = CompactHistograms(_kernel, TEN_BUCKETS, native=True)
    storage.grow(rows)
    random = np.random.default_rng(5)
    for bucket in range(10):
        lasted = random.integers(TEN_BUCKETS[bucket], TEN_BUCKETS[bucket + 1], rows, np.uint64)
        storage.observe(np.arange(rows), lasted, np.ones(rows))
    assert storage.nbytes() / rows < 300


@needs_kernel
@pytest.mark.parametrize("row", [-1, ROWS, 2**40])
def test_a_row_that_is_not_there_is_refused_and_nothing_counted(row: int) -> None:
    storage = table()
    one = np.array([1, 1], np.uint64)
    with pytest.raises(IndexError):
        storage.observe(np.array([0, row]), one, np.ones(2))
    with pytest.raises(IndexError):
        observe_row(storage, row, one)
    with pytest.raises(IndexError):
        storage.reset_rows(np.array([row]))
    with pytest.raises(IndexError):
        storage.state(np.array([row]))
    assert shown(storage) == shown(table())


@needs_kernel
def test_arrays_of_different_lengths_are_refused() -> None:
    storage = table()
    with pytest.raises(ValueError, match="length"):
        storage.observe(np.zeros(2, np.int64), np.zeros(3, np.uint64), np.ones(2))


crowded = st.lists(
    st.tuples(
        st.integers(155, 166),  # buckets between the lowest and the highest, of at most 160
        st.sampled_from([1, 150, 255, 256]),
        weights,
    ),
    min_size=2,
    max_size=4,
).map(sorted)


@needs_kernel
@settings(max_examples=300)
@given(st.integers(3, 5), st.integers(0, 255), crowded)
def test_a_range_about_as_wide_as_may_be_keeps_every_count(
    scale: int, offset: int, done: list[tuple[int, int, float]]
) -> None:
    # A block begins and ends at multiples of 8, so it may hold more buckets than a row may have.
    lowest = 10**6 * 2 ** (offset / 256)
    compact, reference = table(), arrays()
    for buckets, times, weight in done:
        highest = min(lowest * 2 ** (buckets / 2**scale), 2**63)
        lasted = np.array([lowest, *[highest] * times, highest / 1.2], np.uint64)
        row = np.zeros(len(lasted), np.int64)
        for storage in (compact, reference):
            storage.observe(row, lasted, np.full(len(lasted), weight))
        assert shown(compact) == shown(reference)
        state = compact.state(np.array([0]))
        assert state.native is not None
        assert state.native.begins[1] <= MAX_BUCKETS
