"""The metrics of services over a restart: nothing shows that there was one."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from points.otlp_metrics import (
    CUMULATIVE,
    DELTA,
    NOT_RECORDED,
    NOW,
    SECOND,
    Scalar,
    buckets,
    counter,
    exemplar,
    exponential,
    gauge,
    histogram,
    native,
    number,
    quantiles,
    request,
    summary,
)
from processors.kept_snapshots import shown
from processors.shown_metrics import Shown
from spanmill.errors import CheckpointError
from spanmill.journal.state import State, decode_state, encode_state
from spanmill.series.snapshot import Family

Step = tuple[int, bytes | None]
"""Seconds that go by, then a request, or None for a tick."""


def restarted(before: Shown, **limits: int) -> Shown:
    """A new process that was given the state of another."""
    after = Shown(**limits)
    after.processor.restore(decode_state(encode_state(before.processor.state())))
    return after


def families(of: Shown) -> dict[str, list[Any]]:
    """What is shown of services."""
    return shown(of.registry, without=["spanmill_"])


def walk(through: Shown, steps: Sequence[Step], at: int = NOW) -> int:
    """Take steps from a moment on; returns the moment of the last one."""
    for seconds, body in steps:
        at += seconds * SECOND
        if body is None:
            through.tick(at)
        else:
            through.send(body, arrival=at)
    return at


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A metric with one or two points; few names, so that kinds meet in one of them."""
    time = NOW + draw(st.integers(-3, 8)) * SECOND
    start = draw(st.sampled_from([0, NOW - 9 * SECOND, time - SECOND, time]))
    value = draw(st.integers(0, 5))
    name = draw(st.sampled_from(["a", "b.c", "b/c", "d"]))
    temporality = draw(st.sampled_from([DELTA, CUMULATIVE]))
    attributes: dict[str, Scalar | None] = draw(
        st.sampled_from([{}, {"k": "x"}, {"k": "x", "l": 1}, {"k": 1.5}])
    )
    flags = draw(st.sampled_from([0, 0, 0, NOT_RECORDED]))
    exemplars = draw(st.sampled_from([(), (exemplar(0.5), exemplar(3.0, time, b"\2" * 16))]))
    stamps = {"time": time, "start": start}
    plain = number(value, flags=flags, attributes=attributes, exemplars=exemplars, **stamps)
    counts = [value, *draw(st.sampled_from([[1], [2, 0]]))]
    bounds = [1.0, 2.0][: len(counts) - 1]
    classic = buckets(bounds, counts, attributes=attributes, exemplars=exemplars, **stamps)
    metric = draw(
        st.sampled_from(
            [
                gauge(plain, name=name),
                counter(plain, name=name, temporality=temporality, monotonic=value != 3),
                histogram(classic, name=name, unit="s", temporality=temporality),
                exponential(
                    native(counts, scale=value, negative=[1], zeros=value, time=time, start=start),
                    name=name,
                    temporality=temporality,
                ),
                summary(quantiles([(0.5, value), (0.9, 7.0)], time=time), name=name),
            ]
        )
    )
    instance = draw(st.sampled_from([{}, {"service.instance.id": "1"}]))
    host = draw(st.sampled_from([{}, {"host.name": "h"}, {"host.name": "i"}]))
    return request(metric, resource={"service.name": "shop", **instance, **host})


STEPS = st.lists(st.tuples(st.sampled_from([0, 0, 1, 4]), st.none() | requests()), max_size=30)


@given(STEPS, st.integers(0, 30), st.sampled_from([1, 3, 100]))
def test_nothing_shows_that_there_was_a_restart(
    steps: list[Step], cut: int, max_series: int
) -> None:
    limits = {"max_series": max_series, "stale_after_ns": 9 * SECOND}
    whole, before = Shown(**limits), Shown(**limits)
    walk(whole, steps)
    at = walk(before, steps[:cut])
    after = restarted(before, **limits)
    assert families(after) == families(before)
    walk(after, steps[cut:], at)
    assert families(after) == families(whole)
    assert Counter(before.books()) + Counter(after.books()) == Counter(whole.books())
    assert Counter(before.filtered()) + Counter(after.filtered()) == Counter(whole.filtered())
    assert before.conflicts() + after.conflicts() == whole.conflicts()
    assert after.processor.state() == whole.processor.state()


@given(STEPS)
def test_a_state_is_a_copy(steps: list[Step]) -> None:
    half = len(steps) // 2
    service = Shown()
    at = walk(service, steps[:half])
    state = service.processor.state()
    written = encode_state(state)
    walk(service, steps[half:], at)
    assert encode_state(state) == written


def test_sums_of_deltas_and_their_stamps_go_on() -> None:
    before = Shown()
    points = (number(2, start=NOW - SECOND, time=NOW), number(3, start=NOW, time=NOW + SECOND))
    before.send(request(counter(points[0], temporality=DELTA)))
    after = restarted(before)
    after.send(request(counter(points[0], temporality=DELTA)), arrival=NOW + SECOND)
    after.send(request(counter(points[1], temporality=DELTA)), arrival=NOW + SECOND)
    assert list(after.values("c_total").values()) == [5.0]
    assert after.created("c_total") == NOW / 1e9 - 1
    assert after.filtered() == {"duplicate": 1}


def test_a_series_disappears_as_long_after_its_last_point_as_without_a_restart() -> None:
    before = Shown(stale_after_ns=10 * SECOND)
    before.send(request(gauge(number(1))))
    after = restarted(before, stale_after_ns=10 * SECOND)
    after.tick(NOW + 9 * SECOND)
    assert after.names() == ["g"]
    after.tick(NOW + 10 * SECOND)
    assert after.names() == []


def test_its_name_is_held_again() -> None:
    before = Shown()
    before.send(request(gauge(number(1), name="a")))
    after = restarted(before)
    after.send(request(summary(quantiles([(0.5, 1.0)]), name="a")))
    assert after.conflicts() == 1
    assert after.family("a").type == "gauge"


def test_what_something_else_is_called_now_is_left_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = Shown()
    before.send(request(gauge(number(1), name="a"), gauge(number(2), name="b")))
    after = Shown()
    after.registry.claim(Family("a", "counter", "Declared since then."))
    with caplog.at_level(logging.WARNING):
        after.processor.restore(decode_state(encode_state(before.processor.state())))
    (record,) = caplog.records
    assert "left behind" in record.getMessage()
    assert (record.metrics, record.number) == ("a", 1)  # type: ignore[attr-defined]  # fields of the line
    assert after.names() == ["b"]
    after.tick(NOW + 301 * SECOND)
    assert after.estimated_bytes == Shown().estimated_bytes


def test_a_lower_limit_takes_nothing_away_and_lets_nothing_in() -> None:
    before = Shown(max_series=5)
    before.send(request(*(gauge(number(1), name=f"n{i}") for i in range(5))))
    after = restarted(before, max_series=2)
    after.send(request(gauge(number(1), name="another")))
    assert after.names() == [f"n{i}" for i in range(5)]
    assert after.books() == {"counted_overflow": 1}


def test_target_info_is_of_the_resource_that_came_last() -> None:
    before = Shown()
    before.send(request(gauge(number(1)), resource={"service.name": "a", "host.name": "x"}))
    after = restarted(before)
    after.send(request(gauge(number(2)), resource={"service.name": "a", "host.name": "y"}))
    assert after.labels("target_info") == [(("host_name", "y"), ("job", "a"))]


def test_of_two_resources_of_one_identity_the_last_in_a_request_is_shown() -> None:
    service = Shown()
    one, other = (
        request(gauge(number(1)), resource={"service.name": "a", "host.name": host})
        for host in "xy"
    )
    # Serialised messages one after the other are one message with the parts of both.
    service.send(one)
    service.send(one + other + one)
    assert service.labels("target_info") == [(("host_name", "x"), ("job", "a"))]


def test_whole_numbers_that_no_state_can_hold_begin_anew() -> None:
    service = Shown()
    for second in range(3):
        point = number(2**62, start=NOW + second, time=NOW + second + 1)
        service.send(request(counter(point, temporality=DELTA)), arrival=NOW + second + 1)
    assert list(service.values("c_total").values()) == [2.0**62]
    assert families(restarted(service)) == families(service)


def damaged(state: State) -> list[State]:
    store = state["store"]
    names, points, labels = store["families"], store["points"], store["labels"]
    stores = [
        {"form": 2},
        {"families": names[:-1]},
        {"families": [*names, *names]},
        {"labels": [labels[-1]] * len(labels)},
        {"kinds": ["Other"] * len(points)},
        {"kinds": ["SummaryPoint"] * len(points)},
        {"points": ["point"] * len(points)},
        {"points": points[:-1]},
        {"orders": [[0]] * len(points)},
        {"exemplars": [[len(points), 0, [], 1.0, 1.0]]},
    ]
    return [
        {},
        {**state, "form": 2},
        {**state, "spellings": [1]},
        {**state, "store": []},
        *({**state, "store": {**store, **change}} for change in stores),
    ]


def test_a_damaged_state_is_refused_and_changes_nothing() -> None:
    before = Shown()
    before.send(
        request(
            counter(number(1, exemplars=[exemplar(1.0)])),
            gauge(number(1), number(2, attributes={"k": "x"})),
        )
    )
    good = decode_state(encode_state(before.processor.state()))
    for state in damaged(good):
        after = Shown()
        with pytest.raises(CheckpointError):
            after.processor.restore(state)
        assert families(after) == families(Shown())
        after.processor.restore(good)
        assert families(after) == families(before)


@pytest.mark.parametrize("at", [0, 40, 113])
def test_recorded_metrics_go_on(host_metric_requests: list[bytes], at: int) -> None:
    steps: list[Step] = [(1, body) for body in host_metric_requests[:150]]
    steps[100:100] = [(200, None)]
    whole, before = Shown(max_series=50_000), Shown(max_series=50_000)
    walk(whole, steps)
    now = walk(before, steps[:at])
    after = restarted(before, max_series=50_000)
    walk(after, steps[at:], now)
    assert families(after) == families(whole)
    assert len(families(after)) > 10
