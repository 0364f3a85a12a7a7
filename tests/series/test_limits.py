"""Who keeps a series at the limit, and that nothing is lost or moved by it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from series.label_traffic import IDLE, SECOND, TICK, Traffic
from spanmill.series.label_sets import LEAVING_NS
from spanmill.series.limits import MOST_PROMOTED, clearly_busier

amounts = st.floats(0, 1e9, allow_nan=False)


def full(*names: str, spans: int = 10) -> Traffic:
    """Label sets that are all taken, by these names."""
    traffic = Traffic(len(names))
    traffic.send(dict.fromkeys(names, spans))
    return traffic


@given(amounts, amounts)
def test_of_two_only_one_can_be_clearly_busier(one: float, other: float) -> None:
    pair, reverse = np.array([one, other]), np.array([other, one])
    busier = clearly_busier(pair, reverse).tolist()
    assert busier != [True, True]
    assert not clearly_busier(pair, pair).any()


@given(amounts, amounts, amounts)
def test_whoever_beats_a_busier_one_beats_a_less_busy_one(
    challenger: float, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    beats = clearly_busier(np.full(2, challenger), np.array([less, more])).tolist()
    assert beats[0] or not beats[1]


def test_a_busier_label_set_gets_the_row_of_the_least_busy_after_half_a_minute() -> None:
    traffic = full("a", "b")
    spans = {"a": 50, "b": 5, "new": 100}
    traffic.tick(3, spans)
    assert traffic.own() == {"a", "b"}
    traffic.tick(1, spans)
    assert traffic.own() == {"a", "new"}
    assert traffic.sets.exchanged == 1


def test_a_promoted_label_set_starts_at_zero_with_a_new_created_stamp() -> None:
    traffic = full("a")
    traffic.tick(4, {"new": 100})
    shown = {("a", 1e9): 10.0, ("new", traffic.now / 1e9): 0.0, (None, 1e9): 400.0}
    assert traffic.series() == shown
    traffic.send({"new": 7, "a": 2})
    assert traffic.series() == shown | {("new", traffic.now / 1e9): 7.0, (None, 1e9): 402.0}


def test_one_that_lost_its_place_is_shown_as_it_was_until_every_scraper_has_seen_it() -> None:
    traffic = full("a")
    traffic.tick(4, {"a": 1, "new": 100})
    last = traffic.series()["a", 1e9]
    traffic.tick(LEAVING_NS // TICK - 1, {"a": 1, "new": 100})
    assert traffic.series()["a", 1e9] == last
    traffic.tick(1, {"a": 1, "new": 100})
    assert ("a", 1e9) not in traffic.series()


def test_one_that_comes_back_before_it_has_disappeared_goes_on() -> None:
    traffic = full("a")
    traffic.tick(4, {"new": 100})
    last = traffic.series()["a", 1e9]
    traffic.tick(6, {"a": 2_000})
    assert traffic.own() == {"a"}
    traffic.send({"a": 5})
    assert traffic.series()["a", 1e9] >= last + 5


def test_a_short_burst_takes_no_row() -> None:
    traffic = full("a", "b")
    traffic.send({"burst": 1000})
    traffic.tick(60, {"a": 10, "b": 10})
    assert traffic.own() == {"a", "b"}


def test_two_of_the_same_traffic_never_take_turns() -> None:
    random = np.random.default_rng(3)
    traffic = full("a", "b")
    for _ in range(720):
        traffic.tick(1, dict(zip("abcd", random.poisson(20, 4).tolist(), strict=True)))
    assert traffic.sets.exchanged == 0


def test_one_that_is_busier_by_less_than_half_gets_nothing() -> None:
    traffic = full("a")
    traffic.tick(360, {"a": 10_000, "new": 14_000})
    assert traffic.own() == {"a"}
    traffic.tick(360, {"a": 10_000, "new": 16_000})
    assert traffic.own() == {"new"}


def test_one_that_lost_its_row_is_not_forgotten() -> None:
    traffic = full("a", spans=64)
    traffic.tick(4, {"a": 64, "new": 1_000})
    assert traffic.own() == {"new"}
    tail = traffic.sets._tail
    assert tail is not None
    assert 64 * 4 <= tail._busiest.discard(traffic.key("a")) <= 64 * 5


def test_a_row_that_is_used_again_begins_without_traffic() -> None:
    traffic = full("a", spans=1_000_000)
    traffic.tick(IDLE // TICK)
    traffic.tick(6, {"b": 10, "new": 100})
    assert traffic.own() == {"new"}


def test_many_of_the_same_traffic_hardly_ever_take_turns() -> None:
    random = np.random.default_rng(4)
    names = [str(i) for i in range(300)]
    traffic = full(*names[:100])
    for _ in range(360):
        traffic.tick(1, dict(zip(names, random.poisson(3, 300).tolist(), strict=True)))
    assert traffic.sets.exchanged <= 3


def test_one_that_comes_in_spurts_keeps_its_row() -> None:
    traffic = full("spurts", "busy", spans=600)
    for i in range(240):
        spurt = {"spurts": 600} if i % 12 == 0 else {}
        traffic.tick(1, {"busy": 100, "steady": 50, **spurt})
    assert traffic.own() == {"spurts", "busy"}
    assert traffic.sets.exchanged == 0


def test_one_that_comes_in_spurts_is_promoted_only_when_it_comes() -> None:
    traffic = full("a")
    for i in range(4):
        traffic.tick(1, {"spurts": 500} if i % 2 == 0 else {"a": 1})
    assert traffic.own() == {"a"}
    traffic.tick(1, {"spurts": 500})
    assert traffic.own() == {"spurts"}


@pytest.mark.parametrize(("limit", "at_most"), [(10, 1), (100, 2), (200, 4)])
def test_few_are_exchanged_at_a_tick(limit: int, at_most: int) -> None:
    traffic = full(*(f"old{i}" for i in range(limit)), spans=1)
    new = {f"new{i}": 100 for i in range(limit)}
    seen = []
    for _ in range(8):
        before = traffic.sets.exchanged
        traffic.tick(1, new)
        seen.append(traffic.sets.exchanged - before)
    assert max(seen) == at_most


def test_a_free_row_goes_to_the_busiest_of_the_tail() -> None:
    traffic = full("a", "idle", spans=1000)
    ticks = IDLE // TICK
    traffic.tick(ticks - 1, {"a": 1000, "rare": 1, "frequent": 3})
    assert traffic.own() == {"a", "idle"}
    traffic.tick(1, {"a": 1000, "rare": 1, "frequent": 3})
    assert traffic.own() == {"a", "frequent"}


def test_without_traffic_it_is_first_come_first_served() -> None:
    traffic = Traffic(1, told=False)
    traffic.send(["first"])
    traffic.tick(60, {"first": 1, "busy": 1000})
    assert traffic.own() == {"first"}


def test_a_flood_takes_no_row_and_bounded_memory() -> None:
    traffic = full(*(f"old{i}" for i in range(100)), spans=50)
    for i in range(50):
        traffic.send([f"{i}-{j}" for j in range(1000)])
        traffic.tick(1, {f"old{j}": 1 for j in range(100)})
        assert traffic.sets._tail is not None
        assert len(traffic.sets._tail._busiest) <= 200
    assert traffic.own() == {f"old{i}" for i in range(100)}


def test_a_busy_one_is_found_in_a_flood() -> None:
    traffic = full(*(f"old{i}" for i in range(100)), spans=5)
    for i in range(8):
        traffic.tick(1, {**{f"{i}-{j}": 1 for j in range(5000)}, "busy": 300})
    assert "busy" in traffic.own()


def test_a_clock_that_was_set_back_stops_nothing() -> None:
    traffic = full("a")
    traffic.tick(2, {"a": 10, "new": 100})
    traffic.now -= 3600 * SECOND
    traffic.tick(5, {"a": 10, "new": 100})
    assert traffic.own() == {"new"}


def test_a_clock_that_was_set_back_by_a_week_makes_nobody_busier() -> None:
    traffic = full("a", spans=1_000)
    traffic.tick(1, {"b": 1})
    traffic.now -= 7 * 86_400 * SECOND
    traffic.tick(8, {"new": 1_000})
    assert traffic.own() == {"new"}


names = st.sampled_from([*"abcdefgh"])
batches = st.dictionaries(names, st.integers(1, 400), max_size=8)
steps = st.lists(st.tuples(batches, st.integers(0, LEAVING_NS // TICK)), max_size=40)


@given(steps, st.integers(0, 5))
@settings(deadline=None)
def test_between_any_two_scrapes_every_increment_is_a_span_and_no_series_falls(
    given_steps: list[tuple[dict[str, int], int]], limit: int
) -> None:
    traffic = Traffic(limit)
    before = traffic.series()
    for spans, ticks in given_steps:
        traffic.send(spans)
        for _ in range(ticks):
            traffic.tick()
            assert len(traffic.own()) == len(traffic.sets) <= limit
        after = traffic.series()
        increments = [value - before.get(series, 0.0) for series, value in after.items()]
        assert min(increments, default=0) >= 0
        assert sum(increments) == sum(spans.values())
        before = after


@given(steps)
@settings(deadline=None)
def test_the_same_stream_gives_the_same_state(
    given_steps: list[tuple[dict[str, int], int]],
) -> None:
    def state() -> object:
        traffic = Traffic(3)
        for spans, ticks in given_steps:
            traffic.send(spans)
            traffic.tick(ticks)
        return traffic.series(), traffic.sets.demand(), traffic.sets.exchanged

    assert state() == state()


@given(st.lists(st.lists(names, max_size=60), max_size=12), st.integers(1, 20))
@settings(deadline=None)
def test_neither_order_nor_batches_between_two_ticks_change_who_has_a_row(
    intervals: list[list[str]], size: int
) -> None:
    whole, parts = full("x", "y", "z", spans=2), full("x", "y", "z", spans=2)
    for interval in intervals:
        spans = [name for name in interval for _ in range(20)]
        whole.send(spans)
        shuffled = sorted(spans, key=lambda name: (ord(name) * 7) % 5)
        for i in range(0, len(shuffled), size):
            parts.send(shuffled[i : i + size])
        for traffic in (whole, parts):
            traffic.tick()
        assert whole.series() == parts.series()


@given(st.lists(st.lists(names, max_size=60), max_size=12), st.integers(1, 20))
@settings(deadline=None)
def test_the_total_is_the_same_in_any_order_even_where_the_first_take_free_rows(
    intervals: list[list[str]], size: int
) -> None:
    whole, parts = Traffic(2), Traffic(2)
    for interval in intervals:
        whole.send(interval)
        for i in range(0, len(interval), size):
            parts.send(interval[::-1][i : i + size])
        assert sum(whole.series().values()) == sum(parts.series().values())
    assert sum(whole.series().values()) == sum(map(len, intervals))


def test_free_rows_are_given_away_bit_by_bit() -> None:
    traffic = full(*(f"old{i}" for i in range(3_000)), spans=1)
    waiting = {f"new{i}": 2 for i in range(1_200)}
    traffic.tick(IDLE // TICK - 1)
    own = []
    for _ in range(3):
        traffic.tick(1, waiting)
        own.append(len([name for name in traffic.own() if name.startswith("new")]))
    assert own == [MOST_PROMOTED, len(waiting), len(waiting)]


def test_the_demand_of_more_rows_than_one_tick_looks_at_is_known_after_a_round() -> None:
    number = 40_000
    traffic = full(*(f"old{i}" for i in range(number)), spans=5)
    traffic.tick(1, {f"new{i}": 1 for i in range(1_000)})
    demand = traffic.sets.demand()
    assert demand is not None
    assert demand.label_sets == pytest.approx(number + 1_000, rel=0.05)
    traffic.tick(25, {f"new{i}": 1 for i in range(1_000)})
    demand = traffic.sets.demand()
    assert demand is not None
    assert demand.label_sets == pytest.approx(number + 1_000, rel=0.05)
    assert demand.services[0].label_sets == pytest.approx(number + 1_000, rel=0.15)


def test_who_lost_its_row_disappears_even_if_the_clock_is_set_back_by_a_week() -> None:
    traffic = full("a")
    traffic.tick(4, {"new": 100})
    assert ("a", 1e9) in traffic.series()
    traffic.now -= 7 * 86_400 * SECOND
    traffic.tick(LEAVING_NS // TICK, {"new": 100})
    assert ("a", 1e9) not in traffic.series()
