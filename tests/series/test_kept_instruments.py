from __future__ import annotations

import logging

import numpy as np
import pytest

from spanmill.errors import CheckpointError
from spanmill.journal.state import State, decode_state, encode_state
from spanmill.series.registry import Registry
from spanmill.series.snapshot import FamilySnapshot, Histograms, Values


class Clock:
    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def time_ns(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return 0.0


def state_of(registry: Registry) -> State:
    return decode_state(encode_state(registry.kept()["instruments"].state()))


def restore(registry: Registry, state: State) -> None:
    registry.kept()["instruments"].restore(state)


def only(registry: Registry) -> FamilySnapshot:
    (family,) = registry.snapshot()
    return family


def values(family: FamilySnapshot) -> dict[object, float]:
    assert isinstance(family.data, Values)
    return dict(zip(family.labels, family.data.values.tolist(), strict=True))


def test_a_counter_goes_on_from_its_value_and_its_created_stamp() -> None:
    before, after = Registry(Clock(1_000_000_000)), Registry(Clock(9_000_000_000))
    counter = before.counter("x_total", "X.", ("a",), kept=True)
    counter.add(3, "one")
    again = after.counter("x_total", "X.", ("a",), kept=True)
    again.add(0, "one")
    again.add(0, "two")
    restore(after, state_of(before))
    again.add(1, "one")
    family = only(after)
    assert values(family) == {("one",): 4, ("two",): 0}
    assert family.created.tolist() == [1, 9]


def test_a_histogram_goes_on_from_its_buckets() -> None:
    registries = [Registry(Clock(1)), Registry(Clock(2)), Registry(Clock(1))]
    histograms = [r.histogram("x_seconds", "X.", [10, 100], kept=True) for r in registries]
    first, second = np.array([5, 50], np.uint64), np.array([500, 50], np.uint64)
    histograms[0].observe(first)
    restore(registries[1], state_of(registries[0]))
    histograms[1].observe(second)
    histograms[2].observe(first)
    histograms[2].observe(second)
    restored, whole = only(registries[1]), only(registries[2])
    assert isinstance(restored.data, Histograms)
    assert isinstance(whole.data, Histograms)
    assert restored.data.bucket_counts.tolist() == whole.data.bucket_counts.tolist() == [[1, 2, 1]]
    assert restored.data.sums.tolist() == whole.data.sums.tolist()
    assert restored.created.tolist() == whole.created.tolist()


def test_the_overflow_series_comes_back_as_what_it_is() -> None:
    before, after = Registry(Clock(1)), Registry(Clock(1))
    counter = before.counter("x_total", "X.", ("a",), kept=True)
    again = after.counter("x_total", "X.", ("a",), kept=True)
    for i in range(1_001):
        counter.add(1, str(i))
    restore(after, state_of(before))
    again.add(1, "one more")
    assert values(only(after))[None] == 2


def test_a_series_that_begins_anew_with_each_process_is_not_kept() -> None:
    before, after = Registry(Clock(1)), Registry(Clock(9_000_000_000))
    for registry, amount in ((before, 5), (after, 0)):
        counter = registry.counter("x_total", "X.", ("a",), kept=True)
        counter.begin_anew([("refused",)])
        counter.add(amount, "refused")
    restore(after, state_of(before))
    assert values(only(after)) == {("refused",): 0}
    assert only(after).created.tolist() == [9]


@pytest.mark.parametrize("declared", [[], ["b"], ["d", "b"]])
def test_series_come_back_in_their_order_among_those_that_begin_anew(declared: list[str]) -> None:
    before, after = Registry(Clock(1)), Registry(Clock(2))
    counter = before.counter("x_total", "X.", ("a",), kept=True)
    again = after.counter("x_total", "X.", ("a",), kept=True)
    for one in (counter, again):
        one.begin_anew([("b",), ("d",)])
    for i, label in enumerate("abcde"):
        counter.add(i, label)
    for label in declared:
        again.add(0, label)
    restore(after, state_of(before))
    expected = [label for label in "abcde" if label in ("a", "c", "e", *declared)]
    assert list(values(only(after))) == [(label,) for label in expected]
    assert values(only(after))["e",] == 4


def test_a_new_series_of_a_kept_instrument_is_stamped_with_the_record_that_made_it() -> None:
    registry = Registry(Clock(9_000_000_000))
    kept = registry.counter("kept_total", "X.", ("a",), kept=True)
    other = registry.counter("other_total", "X.", ("a",))
    kept.add(0, "before any record")
    registry.applying(2_000_000_000)
    kept.add(1, "of a record")
    other.add(1, "of this process")
    assert [family.created.tolist() for family in registry.snapshot()] == [[9, 2], [9]]


@pytest.mark.parametrize("labels", [(), ("b",)])
def test_a_family_that_is_gone_or_has_other_labels_is_left_out_with_a_note(
    labels: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    before, after = Registry(Clock(1)), Registry(Clock(2))
    before.counter("x_total", "X.", ("a",), kept=True).add(3, "one")
    before.counter("y_total", "Y.", kept=True).add(4)
    if labels:
        after.counter("x_total", "X.", labels, kept=True)
    after.counter("y_total", "Y.", kept=True)
    with caplog.at_level(logging.WARNING):
        restore(after, state_of(before))
    assert [record.metric for record in caplog.records] == ["x_total"]  # type: ignore[attr-defined]  # an extra of the record
    assert values(only(after)) == {(): 4}


def test_a_histogram_with_other_bounds_begins_anew() -> None:
    before, after = Registry(Clock(1)), Registry(Clock(2))
    before.histogram("x_seconds", "X.", [10, 100], kept=True).observe_one(5)
    after.histogram("x_seconds", "X.", [10, 1000], kept=True)
    restore(after, state_of(before))
    assert after.snapshot() == []


def test_a_form_that_is_damaged_begins_anew() -> None:
    before, after = Registry(Clock(1)), Registry(Clock(2))
    for registry in (before, after):
        registry.histogram("x_seconds", "X.", [10, 100], kept=True)
    state = state_of(before)
    state["families"]["x_seconds"]["form"]["bounds_ns"] = np.array([10, 100])
    restore(after, state)
    assert after.snapshot() == []


def damaged(state: State, damage: str) -> State:
    x = state["families"]["x_total"]
    if damage == "version":
        state["version"] = 2
    elif damage == "no families":
        del state["families"]
    elif damage == "lengths":
        x["values"] = np.zeros(3)
    elif damage == "labels":
        x["labels"] = [[1], ["two"]]
    elif damage == "twice":
        x["labels"] = [["one"], ["one"]]
    elif damage == "flags":
        x["kept"] = np.ones(3, np.bool_)
    elif damage == "type":
        x["created_ns"] = np.zeros(2)
    return state


@pytest.mark.parametrize(
    "damage", ["version", "no families", "lengths", "labels", "twice", "type", "flags"]
)
def test_a_damaged_state_changes_nothing(damage: str) -> None:
    before, after = Registry(Clock(1)), Registry(Clock(2))
    for registry in (before, after):
        registry.counter("a_total", "A.", kept=True).add(registry is before)
        counter = registry.counter("x_total", "X.", ("a",), kept=True)
        counter.add(1, "one")
        counter.add(2, "two")
    state = damaged(state_of(before), damage)
    shown = [(family.created.tolist(), values(family)) for family in after.snapshot()]
    with pytest.raises(CheckpointError):
        restore(after, state)
    assert [(f.created.tolist(), values(f)) for f in after.snapshot()] == shown
