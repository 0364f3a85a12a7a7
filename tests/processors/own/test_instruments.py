"""What a processor adds is shown as it was added."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from processors.own.hosting import SECOND, START, Shown
from spanmill.errors import DeclarationError
from spanmill.processors import Metrics, Processor, SpanBatch, service_names
from spanmill.testing import Span, batch_of

MS = 1_000_000


class Everything(Processor):
    """Hands each call on to what the test has set."""

    def __init__(self, metrics: Metrics) -> None:
        self.requests = metrics.counter("requests_total", "Requests.", ("service",))
        self.bytes = metrics.counter("sent_bytes_total", "Bytes.", unit="bytes")
        self.time = metrics.histogram("time_seconds", "Time.", ("service",), buckets=(0.01, 0.1))
        self.sizes = metrics.histogram("size_bytes", "Size.", unit="bytes", buckets=(10, 100))
        self.level = metrics.gauge("level_ratio", "Level.", ("service",), unit="ratio")

    def observe(self, batch: SpanBatch) -> None:
        pass


def spans(*services: str, weight: float = 1.0) -> SpanBatch:
    return batch_of([Span(service=s, duration=50 * MS, weight=weight) for s in services])


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def mine(shown: Shown) -> Everything:
    processor = Everything(shown.metrics)
    shown.metrics.begin_call(START)
    return processor


def test_spans_are_counted_by_their_labels(shown: Shown, mine: Everything) -> None:
    batch = spans("a", "b", "a")
    mine.requests.add(batch, [service_names(batch)])
    mine.requests.add(batch, [service_names(batch)])
    assert shown.values("requests_total") == {("a",): 4, ("b",): 2}


def test_weights_are_applied_unless_they_are_not_wanted(shown: Shown, mine: Everything) -> None:
    batch = spans("a", weight=8)
    mine.requests.add(batch, [service_names(batch)])
    mine.requests.add(batch, ["plain"], weighted=False)
    mine.bytes.add(batch, amounts=batch.size)
    assert shown.values("requests_total") == {("a",): 8, ("plain",): 1}
    assert shown.values("sent_bytes_total") == {(): 800}


def test_only_the_chosen_spans_count(shown: Shown, mine: Everything) -> None:
    batch = spans("a", "b", "a")
    where = np.array([True, False, False])
    mine.requests.add(batch, [service_names(batch)], where=where)
    mine.bytes.add(batch, amounts=np.array([1, 2, 4]), where=~where)
    mine.time.observe(batch, [service_names(batch)], where=~where)
    assert shown.values("requests_total") == {("a",): 1, ("b",): 0}
    assert shown.values("sent_bytes_total") == {(): 6}
    assert shown.counts("time_seconds") == {("a",): [0, 1, 0], ("b",): [0, 1, 0]}


def test_durations_are_observed_in_nanoseconds_and_shown_in_seconds(
    shown: Shown, mine: Everything
) -> None:
    batch = spans("a", "a", weight=2)
    mine.time.observe(batch, [service_names(batch)])
    mine.time.observe(batch, ["own"], values=np.array([1 * MS, 1 * SECOND]), weighted=False)
    assert shown.counts("time_seconds") == {("a",): [0, 4, 0], ("own",): [1, 0, 1]}
    data = shown.family("time_seconds").data
    assert data.sums.tolist() == [0.2, 1.001]  # type: ignore[union-attr]  # a histogram
    assert data.native[0].counts.sum() == 4  # type: ignore[union-attr, index]  # a histogram


def test_another_unit_is_shown_as_it_is_observed(shown: Shown, mine: Everything) -> None:
    batch = spans("a", "b", "c")
    mine.sizes.observe(batch, values=np.array([9.6, 50.0, 1e6]))
    assert shown.counts("size_bytes") == {(): [1, 1, 1]}
    data = shown.family("size_bytes").data
    assert data.native is None  # type: ignore[union-attr]  # a histogram
    assert data.sums.tolist() == [1_000_060]  # type: ignore[union-attr]  # a histogram


def test_what_is_added_one_by_one_is_shown_at_the_end_of_the_call(
    shown: Shown, mine: Everything
) -> None:
    for value in (1.0, 2.5):
        mine.requests.add_one(["a"], value)
    mine.time.observe_one(["a"], 5 * MS)
    mine.time.observe_one(["a"], 50 * MS, weight=3)
    mine.level.set(["a"], 0.25)
    mine.level.set(["a"], 0.5)
    assert all(not len(f.labels) for f in shown.registry.snapshot())
    shown.metrics.end_call(keep=True)
    assert shown.values("requests_total") == {("a",): 3.5}
    assert shown.counts("time_seconds") == {("a",): [1, 3, 0]}
    assert shown.values("level_ratio") == {("a",): 0.5}


def test_a_call_that_fails_adds_nothing_one_by_one(shown: Shown, mine: Everything) -> None:
    mine.requests.add_one(["a"])
    mine.time.observe_one(["a"], 5)
    mine.level.set(["a"], 5)
    shown.metrics.end_call(keep=False)
    shown.metrics.end_call(keep=True)
    assert shown.registry.snapshot() == []


def test_a_gauge_that_was_never_set_has_no_series(shown: Shown, mine: Everything) -> None:
    mine.requests.add(spans("a"), ["a"])
    mine.level.set(["b"], 1)
    shown.metrics.end_call(keep=True)
    assert shown.values("level_ratio") == {("b",): 1}
    assert shown.values("requests_total") == {("a",): 1, ("b",): 0}


def test_over_the_limit_counters_overflow_and_gauges_are_left_out() -> None:
    shown = Shown(max_series=2)
    mine = Everything(shown.metrics)
    shown.metrics.begin_call(START)
    batch = spans("a", "b", "c", "d")
    mine.requests.add(batch, [service_names(batch)])
    for service in "abcd":
        mine.level.set([service], 1)
    shown.metrics.end_call(keep=True)
    assert shown.values("requests_total") == {None: 2, ("a",): 1, ("b",): 1}
    assert shown.values("level_ratio") == {("a",): 1, ("b",): 1}
    sizes = {name: (len(b), b.limit) for name, b in shown.registry.bounded().items()}
    assert sizes == {"mine": (2, 2), "mine/sent_bytes_total": (0, 2)}


def test_a_silent_label_set_expires_and_begins_anew(shown: Shown, mine: Everything) -> None:
    batch = spans("a")
    mine.requests.add(batch, ["a"])
    mine.level.set(["a"], 7)
    shown.metrics.end_call(keep=True)
    shown.registry.expire(START + 61 * SECOND)
    assert shown.registry.snapshot() == []
    shown.metrics.begin_call(START + 90 * SECOND)
    mine.requests.add(batch, ["a"])
    assert shown.values("requests_total") == {("a",): 1}
    assert shown.family("requests_total").created.tolist() == [1e9 + 90]


def test_an_empty_batch_adds_nothing(shown: Shown, mine: Everything) -> None:
    batch = batch_of([])
    mine.requests.add(batch, [service_names(batch)])
    mine.time.observe(batch, [service_names(batch)])
    mine.bytes.add(batch)
    assert shown.registry.snapshot() == []


def test_labels_of_one_label_set_are_made_as_all_label_values_are(
    shown: Shown, mine: Everything
) -> None:
    for value in (None, 1.5, True, "x" * 5000):
        mine.requests.add_one([value])
    shown.metrics.end_call(keep=True)
    assert set(shown.values("requests_total")) == {("",), ("1.5",), ("true",), ("x" * 1024,)}


@pytest.mark.parametrize(
    ("amounts", "sentence"),
    [
        (np.array([1.0, -1.0, 1.0]), "a counter only grows"),
        (np.array([1.0, np.nan, 1.0]), "a counter only grows"),
        (np.array([1.0, 2.0]), r"amounts must be a number for each of the 3 spans"),
        (np.array(["a", "b", "c"]), r"amounts must be a number"),
    ],
)
def test_amounts_that_can_t_be_added_are_refused(
    shown: Shown,
    mine: Everything,
    amounts: Any,
    sentence: str,
) -> None:
    batch = spans("a", "b", "c")
    with pytest.raises(DeclarationError, match=sentence):
        mine.requests.add(batch, [service_names(batch)], amounts=amounts)
    assert shown.registry.snapshot() == []


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 1e30])
def test_values_that_can_t_be_observed_are_refused(mine: Everything, value: float) -> None:
    with pytest.raises(DeclarationError, match="values must be numbers of 0 or more"):
        mine.time.observe(spans("a"), ["a"], values=np.array([value]))


def test_labels_must_be_as_many_as_were_declared(mine: Everything) -> None:
    with pytest.raises(DeclarationError, match=r"one column for each of \(service\); given 2"):
        mine.requests.add(spans("a"), ["a", "b"])
    with pytest.raises(DeclarationError, match="given one text"):
        mine.requests.add(spans("a"), "a")
    with pytest.raises(DeclarationError, match="a value for each of its labels"):
        mine.requests.add_one([])


def test_nothing_can_be_added_before_there_is_a_time() -> None:
    mine = Everything(Shown().metrics)
    with pytest.raises(DeclarationError, match=r"only be added to in observe\(\) and tick\(\)"):
        mine.requests.add(spans("a"), ["a"])
