"""Label sets that go on after a restart as if nothing had happened."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from series.label_traffic import IDLE, SECOND, TICK, Traffic
from spanmill.clock import SystemClock
from spanmill.errors import CheckpointError
from spanmill.journal.state import State, decode_state, encode_state
from spanmill.series.counter import CounterColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.label_sets import LabelSets
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Family, Histograms

Batch = dict[str, int]


class KeptTraffic(Traffic):
    """Label sets whose counter is kept."""

    def __init__(self, limit: int, *, told: bool = True) -> None:
        super().__init__(limit, told=told)
        self.sets.keep("calls_total", self.calls)

    def restarted(self, limit: int | None = None) -> KeptTraffic:
        again = KeptTraffic(limit or self.sets.limit, told=self.told)
        again.now = self.now
        again.sets.restore(saved(self.sets))
        return again

    def seen(self) -> object:
        """All that can be looked at from outside, and who comes next."""
        rows = self.sets.live_rows()
        return (
            rows.tolist(),
            self.sets.labels(rows),
            self.series(),
            [stamps.tolist() for stamps in self.sets.stamps(rows)],
            len(self.sets),
            self.sets.exchanged,
            self.sets.demand(),
            self.sets.overflow_share(),
        )


def families(registry: Registry) -> dict[str, tuple[list[float], list[float]]]:
    """The values and created stamps of each family, the latter in seconds."""
    found = {}
    for snapshot in registry.snapshot():
        data = snapshot.data
        values = data.counts if isinstance(data, Histograms) else data.values
        if snapshot.family.name.startswith("my_"):
            found[snapshot.family.name] = values.tolist(), snapshot.created.tolist()
    return found


class Upgraded:
    """A group of label sets with counters and histograms of these names."""

    def __init__(self, *names: str) -> None:
        self.registry = Registry(SystemClock())
        self.sets = self.registry.label_sets(("service",), 100, IDLE, "mine")
        self.counters: dict[str, CounterColumn] = {}
        self.histograms: dict[str, HistogramColumn] = {}
        for name in names:
            if name.endswith("_total"):
                counter = self.counters[name] = CounterColumn(self.sets)
                self.registry.expose_values(Family(name, "counter", "X."), self.sets, counter)
            else:
                histogram = self.histograms[name] = HistogramColumn(self.sets, [[10]], native=False)
                family = Family(name, "histogram", "X.")
                self.registry.expose_histogram(family, self.sets, histogram)

    def count(self, service: str, at: int) -> None:
        rows = self.sets.rows([(service,)], at * SECOND)
        for counter in self.counters.values():
            counter.add(rows, np.ones(1))
        for histogram in self.histograms.values():
            histogram.observe(rows, np.array([5], np.uint64), np.ones(1))

    def then(self, *names: str) -> Upgraded:
        after = Upgraded(*names)
        after.sets.restore(saved(self.sets))
        return after


def saved(sets: LabelSets) -> State:
    return decode_state(encode_state(sets.state()))


def play(traffic: Traffic, batches: list[Batch | int]) -> None:
    """A number lets so many ticks pass."""
    for batch in batches:
        if isinstance(batch, int):
            traffic.tick(batch)
        else:
            traffic.send(batch)


NAMES = st.integers(0, 30).map(lambda i: f"shop-{i % 3}/name-{i}")
BATCHES = st.dictionaries(NAMES, st.integers(1, 200), min_size=1, max_size=12)
STORIES = st.lists(st.one_of(BATCHES, st.sampled_from([1, 3, 12, 40, 100])), max_size=25)


@settings(max_examples=60)
@given(STORIES, STORIES, st.integers(1, 12), st.booleans())
def test_what_follows_a_restart_is_what_would_have_followed_without_one(
    before: list[Batch | int], after: list[Batch | int], limit: int, told: bool
) -> None:
    whole, first = KeptTraffic(limit, told=told), KeptTraffic(limit, told=told)
    play(whole, before)
    play(first, before)
    second = first.restarted()
    assert second.seen() == whole.seen()
    for step in after:
        play(whole, [step])
        play(second, [step])
        assert second.seen() == whole.seen()


def crowded(limit: int = 20) -> KeptTraffic:
    """More label sets than fit; busy ones come late, so that rows change hands."""
    traffic = KeptTraffic(limit)
    for i in range(60):
        late = {f"shop/late-{j}": 50 for j in range(5)} if i > 5 else {}
        traffic.send({f"shop-{i % 4}/rare-{(i * 7 + j) % 90}": 1 for j in range(40)} | late)
        traffic.tick()
    assert traffic.sets.exchanged
    return traffic


def test_label_sets_that_are_leaving_leave_and_are_forgotten_in_time() -> None:
    whole = crowded()
    second = whole.restarted()
    for _ in range(40):
        whole.tick()
        second.tick()
        assert second.seen() == whole.seen()


def test_an_overflow_that_has_ended_is_forgotten_in_both() -> None:
    whole = crowded()
    second = whole.restarted()
    for traffic in (whole, second):
        traffic.tick(int(IDLE / TICK) + 20)
    assert second.seen() == whole.seen()
    assert whole.sets.demand() is None


def test_later_traffic_does_not_change_a_state_that_was_taken() -> None:
    traffic = crowded()
    state, expected = traffic.sets.state(), saved(traffic.sets)
    for _ in range(30):
        traffic.tick(spans={f"shop/other-{i}": 9 for i in range(40)})
    assert encode_state(state) == encode_state(expected)


def test_label_sets_are_found_again_by_their_values() -> None:
    traffic = KeptTraffic(5_000)
    traffic.send({f"shop/name-{i}": 1 for i in range(3_000)})
    second = traffic.restarted()
    second.send({f"shop/name-{i}": 1 for i in range(3_000)})
    assert len(second.sets) == 3_000
    assert set(second.series().values()) == {2.0}


@pytest.mark.parametrize("limit", [10, 40])
def test_with_another_limit_the_counts_go_on(limit: int) -> None:
    traffic = crowded()
    second = traffic.restarted(limit)
    assert second.series() == traffic.series()
    for _ in range(200):
        second.tick(spans={"shop/new": 100})
    assert "shop/new" in second.own()
    assert len(second.sets) <= limit


def test_a_label_set_that_found_no_room_twice_in_one_batch_comes_back() -> None:
    traffic = KeptTraffic(1)
    keys = [traffic.key(name) for name in ("shop/a", "shop/b", "shop/b")]
    traffic.sets.rows(keys, traffic.now, np.array([1, 2, 3]))
    second = traffic.restarted()
    for one in (traffic, second):
        one.tick()
    assert second.seen() == traffic.seen()


def test_half_a_surrogate_pair_in_a_label_comes_back() -> None:
    traffic = KeptTraffic(5)
    traffic.send({"shop/\ud800": 1, "shop/whole": 2})
    assert traffic.restarted().seen() == traffic.seen()


def test_label_sets_without_labels_come_back() -> None:
    sets, again = LabelSets((), 5, IDLE), LabelSets((), 5, IDLE)
    row = sets.rows([()], 10**18)
    again.restore(saved(sets))
    assert again.rows([()], 10**18 + 1).tolist() == row.tolist()


DAMAGES: dict[str, Callable[[State], Any]] = {
    "another version": lambda s: s.update(version=2),
    "no version": lambda s: s.pop("version"),
    "other labels": lambda s: s.update(label_names=["service", "other"]),
    "rows that are missing": lambda s: s.pop("rows"),
    "fewer rows": lambda s: s.update(rows=s["rows"][:-1]),
    "rows out of order": lambda s: s.update(rows=s["rows"][::-1].copy()),
    "a row twice": lambda s: s.update(rows=s["rows"][[0, 1, 1, *range(3, len(s["rows"]))]]),
    "rows beyond the last": lambda s: s.update(next_row=5),
    "more rows than there are": lambda s: s.update(next_row=2**60),
    "a free row that is taken": lambda s: s.update(free=np.append(s["free"][1:], s["rows"][-1])),
    "stamps of another type": lambda s: s.update(created_ns=s["created_ns"].astype(np.float64)),
    "fewer stamps": lambda s: s.update(last_used_ns=s["last_used_ns"][1:]),
    "a label set twice": lambda s: s["labels"]["codes"][1].fill(0),
    "label values that are missing": lambda s: s["labels"]["codes"][1].fill(10**6),
    "label values that are no texts": lambda s: s["labels"]["values"][0].append(5),
    "fewer label sets": lambda s: s["labels"].update(count=1),
    "other families": lambda s: s.update(columns={"other_total": s["columns"]["calls_total"]}),
    "fewer counts": lambda s: s["columns"]["calls_total"]["values"].update(
        small=np.zeros(1, np.uint8)
    ),
    "a family that is not there any more, damaged": lambda s: s["columns"].update(old_total=[1]),
    "families that are no mapping": lambda s: s.update(columns=[1]),
    "no families": lambda s: s.update(columns={}),
    "beginnings of families that are missing": lambda s: s.pop("columns_begun_ns"),
    "beginnings of families that are no times": lambda s: s.update(
        columns_begun_ns={"calls_total": "x"}
    ),
    "a tail that is no mapping": lambda s: s.update(tail=[1]),
    "a sketch of another size": lambda s: s["tail"]["window"]["window"].update(
        registers=np.zeros((5, 3, 16), np.uint8)
    ),
    "a sketch that no hash makes": lambda s: s["tail"]["window"]["own"]["registers"].fill(255),
    "a demand of another form": lambda s: s["tail"]["demand"].update(label_sets="many"),
    "slots that are free and taken": lambda s: s["tail"]["busiest"]["free"].fill(0),
    "fewer keys than slots": lambda s: s["tail"]["busiest"].update(
        slots=s["tail"]["busiest"]["slots"][1:]
    ),
    "hashes of rows that are no flags": lambda s: s.update(hashed=np.zeros(3)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_state_that_is_damaged_or_another_ones_changes_nothing(damage: str) -> None:
    traffic = crowded()
    traffic.tick(20)  # so that rows are free
    traffic.send({f"shop/tail-{i}": 1 for i in range(30)})
    state = saved(traffic.sets)
    assert len(state["free"]) or damage != "a free row that is taken"
    DAMAGES[damage](state)
    again = KeptTraffic(traffic.sets.limit)
    again.now = traffic.now
    nothing = again.seen()
    with pytest.raises(CheckpointError):
        again.sets.restore(state)
    assert again.seen() == nothing
    again.sets.restore(saved(traffic.sets))
    assert again.seen() == traffic.seen()


def test_the_error_names_the_labels_or_families_that_differ() -> None:
    traffic = crowded()
    other = LabelSets(("service", "operation"), 20, IDLE)
    with pytest.raises(CheckpointError, match=r"service, span_name, and here .* operation"):
        other.restore(saved(traffic.sets))
    without = LabelSets(("service", "span_name"), 20, IDLE)
    with pytest.raises(CheckpointError, match="families calls_total"):
        without.restore(saved(traffic.sets))


def test_a_metric_more_begins_at_0_with_a_stamp_of_its_own_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = Upgraded("my_calls_total")
    before.count("shop", 100)
    before.count("cart", 150)
    before.count("shop", 200)
    with caplog.at_level(logging.INFO):
        after = before.then("my_bytes_total", "my_calls_total", "my_seconds")
    assert [record.metric for record in caplog.records] == ["my_bytes_total", "my_seconds"]  # type: ignore[attr-defined]  # an extra of the record
    assert families(after.registry) == {
        "my_bytes_total": ([0.0, 0.0], [200.0, 200.0]),
        "my_calls_total": ([2.0, 1.0], [100.0, 150.0]),
        "my_seconds": ([0.0, 0.0], [200.0, 200.0]),
    }
    after.count("shop", 300)
    after.count("new", 310)
    goes_on = {
        "my_bytes_total": ([1.0, 0.0, 1.0], [200.0, 200.0, 310.0]),
        "my_calls_total": ([3.0, 1.0, 1.0], [100.0, 150.0, 310.0]),
        "my_seconds": ([1.0, 0.0, 1.0], [200.0, 200.0, 310.0]),
    }
    assert families(after.registry) == goes_on
    again = after.then("my_seconds", "my_calls_total", "my_bytes_total")
    assert families(again.registry) == goes_on


def test_a_metric_less_is_dropped_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    before = Upgraded("my_calls_total", "my_bytes_total", "my_seconds")
    before.count("shop", 100)
    with caplog.at_level(logging.INFO):
        after = before.then("my_bytes_total")
    assert [record.metric for record in caplog.records] == ["my_calls_total", "my_seconds"]  # type: ignore[attr-defined]  # an extra of the record
    after.count("shop", 200)
    assert families(after.registry) == {"my_bytes_total": ([2.0], [100.0])}


def test_where_all_metrics_are_others_the_label_sets_begin_anew() -> None:
    before = Upgraded("my_calls_total")
    before.count("shop", 100)
    with pytest.raises(CheckpointError, match="families my_calls_total, and here they are my_req"):
        before.then("my_requests_total")


def test_a_setting_that_is_an_array_is_damaged() -> None:
    for name in ("label_names", "limit", "idle_timeout_ns"):
        traffic = crowded()
        state = saved(traffic.sets)
        state[name] = np.zeros(3)
        again = KeptTraffic(traffic.sets.limit)
        if name == "label_names":
            with pytest.raises(CheckpointError):
                again.sets.restore(state)
        else:  # another limit: the series go on
            again.sets.restore(state)
            assert again.series() == traffic.series()
