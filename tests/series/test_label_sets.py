"""Which label sets exist, and for how long."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from series.label_traffic import IDLE, TICK, Traffic
from spanmill.series.counter import CounterColumn
from spanmill.series.label_sets import FEWEST_REMOVED, OVERFLOW_ROW, LabelSets


def label_sets(limit: int = 1000, idle: int | None = 100) -> tuple[LabelSets, CounterColumn]:
    sets = LabelSets(("a",), limit, idle)
    return sets, CounterColumn(sets)


def count(sets: LabelSets, column: CounterColumn, keys: list[str], now: int) -> None:
    rows = sets.rows([(key,) for key in keys], now)
    column.add(rows, np.ones(len(rows)))


def shown(sets: LabelSets, column: CounterColumn) -> dict[object, float]:
    rows = sets.live_rows()
    return dict(zip(sets.labels(rows), column.values(rows).tolist(), strict=True))


def test_a_label_set_keeps_its_row() -> None:
    sets, _ = label_sets()
    first = sets.rows([("x",), ("y",), ("x",)], 1)
    assert first[0] == first[2] != first[1]
    assert sets.rows([("y",)], 2)[0] == first[1]


def test_over_the_limit_new_label_sets_share_the_overflow_row() -> None:
    sets, column = label_sets(limit=2)
    count(sets, column, ["a", "b", "c", "d", "a"], 1)
    assert shown(sets, column) == {None: 2.0, ("a",): 2.0, ("b",): 1.0}


def test_there_is_no_overflow_series_before_there_is_overflow() -> None:
    sets, column = label_sets(limit=2)
    count(sets, column, ["a", "b"], 1)
    assert None not in shown(sets, column)


def test_an_idle_label_set_expires_and_one_in_use_stays() -> None:
    sets, column = label_sets(idle=100)
    count(sets, column, ["old", "busy"], 0)
    count(sets, column, ["busy"], 50)
    assert sets.expire(100) == 1
    assert shown(sets, column) == {("busy",): 2.0}


def test_a_label_set_that_comes_back_starts_at_zero_with_a_new_created_stamp() -> None:
    sets, column = label_sets(idle=100)
    count(sets, column, ["x", "x"], 5_000_000_000)
    sets.expire(6_000_000_000)
    count(sets, column, ["x"], 7_000_000_000)
    assert shown(sets, column) == {("x",): 1.0}
    assert sets.created_seconds(sets.live_rows()).tolist() == [7.0]


def test_an_expired_label_set_leaves_room_for_another() -> None:
    sets, column = label_sets(limit=1, idle=100)
    count(sets, column, ["old"], 0)
    sets.expire(100)
    count(sets, column, ["new"], 101)
    assert shown(sets, column) == {("new",): 1.0}


def test_the_overflow_series_expires_like_another_and_starts_again_at_zero() -> None:
    sets, column = label_sets(limit=1, idle=100)
    count(sets, column, ["a", "b", "c"], 0)
    count(sets, column, ["a"], 90)
    sets.expire(100)
    assert shown(sets, column) == {("a",): 2.0}
    count(sets, column, ["d"], 110)
    assert shown(sets, column) == {("a",): 2.0, None: 1.0}


HOUR_OF_TICKS = 3_600 * 10**9 // TICK


@pytest.mark.parametrize(
    "steps", [(HOUR_OF_TICKS, -HOUR_OF_TICKS), (-HOUR_OF_TICKS, HOUR_OF_TICKS)]
)
def test_a_clock_that_was_set_keeps_nobody_longer_than_the_timeout(steps: tuple[int, int]) -> None:
    traffic, again = Traffic(10), Traffic(10)
    for one in (traffic, again):
        for i, step in enumerate(steps):
            one.send([f"silent-{i}", "busy"])
            one.now += step * TICK
            one.tick(1, {"busy": 1})
        one.send(["silent"])
        one.tick(IDLE // TICK - 1, {"busy": 1})
        assert {"silent", "busy"} <= one.own()
        one.tick(2, {"busy": 1})
        assert one.own() == {"busy"}
    assert again.series() == traffic.series()


def test_one_that_was_in_use_when_the_clock_was_set_back_has_the_whole_timeout() -> None:
    traffic = Traffic(10)
    traffic.send(["a"])
    traffic.now -= HOUR_OF_TICKS * TICK
    traffic.tick(IDLE // TICK)
    assert traffic.own() == {"a"}
    traffic.tick()
    assert traffic.own() == set()


def test_without_a_timeout_nothing_expires() -> None:
    sets, column = label_sets(idle=None)
    count(sets, column, ["a"], 0)
    assert sets.expire(10**18) == 0


def test_values_survive_the_growth_of_the_table() -> None:
    sets, column = label_sets(limit=5000)
    for i in range(2000):
        count(sets, column, [str(i)] * (i % 3 + 1), i)
    assert shown(sets, column) == {(str(i),): float(i % 3 + 1) for i in range(2000)}
    assert sets.live_rows()[0] != OVERFLOW_ROW


class Seen:
    """A column and watcher that notes what it is told; it empties one row at a time."""

    def __init__(self, sets: LabelSets) -> None:
        self.capacities: list[int] = []
        self.emptied: list[int] = []
        self.told: list[int] = []
        sets.attach(self)
        sets.watch(self)

    def grow(self, capacity: int) -> None:
        self.capacities.append(capacity)

    def reset(self, row: int) -> None:
        self.emptied.append(row)

    def left(self, rows: npt.NDArray[np.int64]) -> None:
        self.told.extend(rows.tolist())


class SeenAtOnce(Seen):
    """The same, but it empties many rows at once."""

    def reset_rows(self, rows: npt.NDArray[np.int64]) -> None:
        self.emptied.extend(rows.tolist())

    def reset(self, row: int) -> None:
        raise AssertionError("rows are emptied at once")


@pytest.mark.parametrize("column", [Seen, SeenAtOnce])
def test_a_column_empties_the_rows_that_expire_and_watchers_forget_them(column: type[Seen]) -> None:
    sets, _ = label_sets(limit=3)
    seen = column(sets)
    rows = sets.rows([("a",), ("b",), ("c",), ("no room",)], 0)
    sets.touch(rows[1:2], 50)
    sets.expire(100)
    assert seen.emptied == [OVERFLOW_ROW, int(rows[0]), int(rows[2])]
    assert seen.told == [int(rows[0]), int(rows[2])]


def test_who_loses_its_row_to_a_busier_one_is_told_at_once_and_its_row_is_emptied_later() -> None:
    traffic = Traffic(1)
    traffic.send({"a": 10})
    seen = Seen(traffic.sets)
    (row,) = traffic.sets.owned().tolist()
    traffic.tick(4, {"new": 100})
    assert traffic.own() == {"new"}
    assert (seen.told, seen.emptied) == ([row], [])
    traffic.tick(12, {"new": 100})
    assert row in seen.emptied


def test_known_rows_that_are_touched_live_and_count_as_if_they_were_looked_up() -> None:
    looked_up, touched = Traffic(3), Traffic(3)
    keys = [Traffic.key(name) for name in "abc"]
    rows = touched.sets.rows(keys, touched.now, np.ones(3, np.int64))
    looked_up.sets.rows(keys, looked_up.now, np.ones(3, np.int64))
    for tick in range(200):
        again = [*keys[: tick % 3], keys[0]]
        counts = np.full(len(again), 1 + tick % 5)
        looked_up.sets.rows(again, looked_up.now, counts)
        touched.sets.touch(rows[[*range(tick % 3), 0]], touched.now, counts)
        for traffic in (looked_up, touched):
            traffic.tick(1, {"new": 3 * (tick % 7)})
        assert looked_up.series() == touched.series()
        rows = np.array([touched.sets.rows([key], touched.now)[0] for key in keys])
        looked_up.sets.rows(keys, looked_up.now)
        if OVERFLOW_ROW in rows:
            break
    assert looked_up.series() == touched.series()


def test_more_than_may_disappear_at_a_tick_disappear_at_the_next_ones() -> None:
    sets, column = label_sets(limit=5_000)
    count(sets, column, [str(i) for i in range(2 * FEWEST_REMOVED + 10)], 0)
    assert [sets.expire(now) for now in range(100, 104)] == [FEWEST_REMOVED, FEWEST_REMOVED, 10, 0]
    assert shown(sets, column) == {}


def test_one_that_is_due_but_still_there_goes_on_when_it_comes() -> None:
    sets, column = label_sets(limit=5_000)
    names = [str(i) for i in range(FEWEST_REMOVED + 1)]
    count(sets, column, names, 0)
    sets.expire(100)
    count(sets, column, names[-1:], 101)
    assert sets.expire(102) == 0
    assert shown(sets, column) == {(names[-1],): 2.0}


def test_the_overflow_row_is_not_among_those_that_are_owned() -> None:
    sets, column = label_sets(limit=2)
    count(sets, column, ["a", "b"], 0)
    rows = sets.owned().tolist()
    count(sets, column, ["c"], 0)
    assert sets.owned().tolist() == rows
    assert len(sets.shown()[0]) == 3


def test_the_labels_of_any_slice_of_rows_can_be_read() -> None:
    sets, column = label_sets(limit=50)
    names = [str(i) for i in range(60)]
    count(sets, column, names, 0)
    rows, _ = sets.shown()
    labels = sets.labels(rows)
    assert labels == [None, *((name,) for name in names[:50])]
    for size in (1, 7, 50):
        parts = [sets.labels(rows[i : i + size]) for i in range(0, len(rows), size)]
        assert [label for part in parts for label in part] == labels
    backwards = sets.labels(rows[::-1])
    assert backwards == labels[::-1]


@given(st.lists(st.integers(1, 700), min_size=1, max_size=12))
def test_columns_grow_one_by_one_before_their_rows_are_used(sizes: list[int]) -> None:
    sets, _ = label_sets(limit=2_000)
    columns = [Seen(sets) for _ in range(5)]
    begin = 0
    for size in sizes:
        rows = sets.rows([(str(i),) for i in range(begin, begin + size)], 0)
        begin += size
        for column in columns:
            assert column.capacities[-1] > rows.max()
            assert column.capacities == sorted(set(column.capacities))


def test_the_last_growth_is_to_what_the_limit_needs() -> None:
    sets, _ = label_sets(limit=1_000)
    seen = Seen(sets)
    sets.rows([(str(i),) for i in range(1_000)], 0)
    assert seen.capacities == [64, 128, 256, 512, 1_000 + 250 + 64]


def test_the_same_records_give_the_same_state_whatever_is_remembered() -> None:
    def state(*, forgetful: bool) -> object:
        traffic = Traffic(300)
        random = np.random.default_rng(5)
        for tick in range(120):
            names = [f"op{n}" for n in random.zipf(1.3, 400).tolist() if n < 10**6]
            traffic.send(names)
            if forgetful:
                traffic.sets._remembered.clear()
            traffic.tick(1 if tick % 40 else IDLE // TICK)
        rows, created = traffic.sets.shown()
        values = traffic.calls.values(rows).tolist()
        return rows.tolist(), created.tolist(), traffic.sets.labels(rows), values

    assert state(forgetful=False) == state(forgetful=True)


def test_a_label_set_takes_at_most_150_bytes_beside_its_texts() -> None:
    number = 30_000
    services, names = [f"service {i}" for i in range(100)], [f"op {i}" for i in range(300)]
    keys = [(services[i % 100], names[i // 100], "kind", "status", "route") for i in range(number)]
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        sets = LabelSets(("service", "span_name", "kind", "status", "route"), number, 100)
        for begin in range(0, number, 500):
            sets.rows(keys[begin : begin + 500], 0)
        sets._remembered.clear()  # bounded by itself
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert used / number <= 150
    assert sets.nbytes() / number <= 150


def test_label_sets_are_nothing_that_the_garbage_collector_looks_at() -> None:
    keys = [(f"op {i}",) for i in range(10_000)]
    sets = LabelSets(("name",), len(keys), 100)
    gc.collect()
    before = len(gc.get_objects())
    for begin in range(0, len(keys), 500):
        sets.rows(keys[begin : begin + 500], 0)
    sets._remembered.clear()
    assert len(gc.get_objects()) - before < 100
