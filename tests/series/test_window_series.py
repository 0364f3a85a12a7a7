"""Which label sets have a row of a window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spanmill.series.snapshot import LabelValues
from spanmill.series.window_series import NO_ROW, BusiestSeries

SLOTS = 31


class Seats:
    """Busiest series whose window is full of what was counted, unless it says otherwise."""

    def __init__(self, limit: int) -> None:
        self.series = BusiestSeries(limit, SLOTS)
        self.limit = limit

    def count(self, **spans: float) -> list[int]:
        keys: list[LabelValues] = [(name,) for name in spans]
        rows: list[int] = self.series.rows(keys, np.array(list(spans.values()))).tolist()
        return rows

    def step(self, slots: int = 1, empty: tuple[str, ...] = ()) -> list[int]:
        return self.series.step(slots, self._empty(empty))

    def names(self) -> set[str]:
        return {key[0] for key in self.series.seated()}

    def _empty(self, names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
        empty = np.zeros(self.limit, np.bool_)
        for name in names:
            empty[self.series.seated()[(name,)]] = True
        return empty


def test_as_long_as_there_is_room_each_has_a_row_of_its_own() -> None:
    seats = Seats(3)
    assert seats.count(a=1, b=1, c=1) == [0, 1, 2]
    assert seats.count(c=1, a=1) == [2, 0]
    assert len(seats.series) == 3


def test_a_busier_one_takes_the_row_of_the_least_busy() -> None:
    seats = Seats(2)
    seats.count(a=10, b=100)
    assert seats.count(c=50) == [NO_ROW]
    assert seats.step() == [0]
    assert seats.names() == {"b", "c"}
    assert seats.count(c=1, a=1) == [0, NO_ROW]


def test_one_that_is_hardly_busier_takes_no_row() -> None:
    seats = Seats(2)
    seats.count(a=10, b=100)
    seats.count(c=14)
    assert seats.step() == []
    assert seats.names() == {"a", "b"}


def test_series_that_are_alike_do_not_take_turns() -> None:
    rng = np.random.default_rng(5)
    seats = Seats(10)
    changes = 0
    for step in range(500):
        seats.count(**{f"n{i}": float(rng.poisson(100)) for i in rng.permutation(20)})
        changed = seats.step()
        changes += len(changed) if step > SLOTS else 0
    assert changes == 0
    assert len(seats.series) == 10


def test_what_has_left_the_window_frees_its_row_for_the_busiest_candidate() -> None:
    seats = Seats(1)
    seats.count(a=100)
    seats.count(b=1, c=2)
    assert seats.step(empty=("a",)) == []
    assert seats.names() == {"c"}


def test_a_row_that_is_free_is_taken_at_once() -> None:
    seats = Seats(1)
    seats.count(a=100)
    seats.step(empty=("a",))
    assert seats.count(b=1) == [0]


def test_the_busiest_keep_their_rows_while_a_million_names_come_once() -> None:
    seats = Seats(50)
    busy = {f"busy{i}": 20.0 for i in range(50)}
    seats.count(**{f"first{i}": 1.0 for i in range(50)})  # they take every row
    for begin in range(0, 1_000_000, 10_000):
        seats.count(**busy, **{f"n{i}": 1.0 for i in range(begin, begin + 10_000)})
        if begin % 100_000 == 0:
            seats.step()
        assert len(seats.series._candidates) <= 2_000
    assert seats.names() == set(busy)


def test_candidates_are_forgotten_when_they_stay_away() -> None:
    seats = Seats(1)
    seats.count(a=1000)
    seats.count(b=1)
    seats.step(slots=SLOTS)
    assert not seats.series._candidates


def test_names_that_come_once_take_no_row_from_others() -> None:
    seats = Seats(10)
    seats.count(**{f"rare{i}": 1.0 for i in range(10)})
    for begin in range(0, 3_000, 100):
        seats.count(**{f"n{i}": 1.0 for i in range(begin, begin + 100)})
        assert seats.step() == []
    assert seats.names() == {f"rare{i}" for i in range(10)}
