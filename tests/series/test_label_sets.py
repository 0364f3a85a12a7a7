"""Which label sets exist, and for how long."""

from __future__ import annotations

import numpy as np

from spanmill.series.counter import CounterColumn
from spanmill.series.label_sets import OVERFLOW_ROW, LabelSets


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
