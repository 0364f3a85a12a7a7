"""Deltas become cumulative: what is shown is the sum of what was sent, each point once."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from points.otlp_metrics import (
    DELTA,
    NOW,
    SECOND,
    buckets,
    counter,
    exemplar,
    exponential,
    histogram,
    native,
    number,
    request,
)
from processors.shown_metrics import Shown
from spanmill.series.snapshot import Histograms, NativeBuckets


@dataclass(frozen=True)
class Change:
    """What happened in one interval of one series; values are eighths, so that sums are exact."""

    series: str
    start: int
    time: int
    value: float
    counts: tuple[int, ...]
    offset: int
    scale: int


@st.composite
def histories(draw: st.DrawFn) -> list[Change]:
    """Intervals of some series with gaps and with starts that jump back (a process restarted)."""
    changes = []
    for series in ("a", "b"):
        time = NOW - 10_000 * SECOND
        for _ in range(draw(st.integers(0, 8))):
            start = time + draw(st.sampled_from([0, 0, 0, 60 * SECOND]))
            time = start + draw(st.integers(1, 10)) * SECOND
            counts = draw(st.lists(st.integers(0, 9), min_size=3, max_size=3))
            changes.append(
                Change(
                    *(series, start, time, draw(st.integers(0, 800)) / 8, tuple(counts)),
                    *(draw(st.integers(-50, 50)), draw(st.integers(-4, 12))),
                )
            )
    return changes


def metrics_of(change: Change) -> list[pb.Metric]:
    label = {"k": change.series}
    start, time = change.start, change.time
    explicit = buckets(
        [1.0, 2.0], change.counts, total=change.value, attributes=label, start=start, time=time
    )
    fine = native(change.counts, offset=change.offset, scale=change.scale, start=start, time=time)
    fine.attributes.extend(explicit.attributes)
    point = number(change.value, attributes=label, start=start, time=time)
    return [
        counter(point, temporality=DELTA),
        counter(point, name="u", temporality=DELTA, monotonic=False),
        histogram(explicit, temporality=DELTA),
        exponential(fine, temporality=DELTA),
    ]


@given(histories(), st.randoms(use_true_random=False))
def test_the_sum_is_shown_under_reorder_gaps_and_repeats(
    changes: list[Change], order: random.Random
) -> None:
    repeated = changes + [change for change in changes if order.random() < 0.3]
    order.shuffle(repeated)
    shown = Shown()
    while repeated:
        size = order.randint(1, 5)
        metrics = [metric for change in repeated[:size] for metric in metrics_of(change)]
        shown.send(request(*metrics))
        del repeated[:size]
    shown.scrape()
    for series in {change.series for change in changes}:
        own = [change for change in changes if change.series == series]
        labels = (("job", "shop"), ("k", series))
        expected = sum(change.value for change in own)
        assert shown.values("c_total")[labels] == expected
        assert shown.values("u")[labels] == expected
        explicit, created, _ = observed(shown, "h", labels)
        counts = np.sum([change.counts for change in own], axis=0).tolist()
        assert explicit == (sum(counts), expected, counts)
        assert created == min(change.start for change in own) / 1e9
        (count, _, _), _, fine = observed(shown, "e", labels)
        assert count == sum(counts)
        assert fine is not None
        assert populated(fine) == expected_buckets(own, fine.schema)


def observed(
    shown: Shown, name: str, labels: tuple[tuple[str, str], ...]
) -> tuple[tuple[float, float, list[float]], float, NativeBuckets | None]:
    for snapshot in shown.snapshots(name):
        assert isinstance(snapshot.data, Histograms)
        for at, found in enumerate(snapshot.label_pairs()):
            if found == labels:
                data = snapshot.data
                totals = (data.counts[at], data.sums[at], data.bucket_counts[at].tolist())
                native_ = data.native[at] if data.native is not None else None
                return totals, float(snapshot.created[at]), native_
    raise AssertionError(f"{name} has no series {labels}")


def populated(shape: NativeBuckets) -> dict[int, float]:
    return {i: n for i, n in enumerate(shape.counts.tolist(), shape.first) if n}


def expected_buckets(changes: list[Change], schema: int) -> dict[int, float]:
    """The counts at this scale; Prometheus's index of a bucket is OpenTelemetry's + 1."""
    expected: dict[int, float] = {}
    for change in changes:
        for index, count in enumerate(change.counts, change.offset):
            at = (index >> change.scale - schema) + 1
            expected[at] = expected.get(at, 0) + count
    return {at: count for at, count in expected.items() if count}


def delta(value: float, start: int, time: int) -> bytes:
    point = number(value, start=NOW + start * SECOND, time=NOW + time * SECOND)
    return request(counter(point, temporality=DELTA))


def test_a_restart_of_the_sender_goes_on_counting() -> None:
    shown = Shown()
    shown.send(delta(5, 0, 10), delta(7, 100, 110), arrival=NOW + 200 * SECOND)
    assert list(shown.values("c_total").values()) == [12.0]
    assert shown.created("c_total") == NOW / 1e9


def test_two_writers_of_one_series_are_added_up() -> None:
    shown = Shown()
    shown.send(delta(5, 0, 10), delta(7, 5, 15), delta(1, 0, 15), arrival=NOW + 200 * SECOND)
    assert list(shown.values("c_total").values()) == [13.0]


def test_a_request_sent_again_counts_once() -> None:
    shown = Shown()
    shown.send(delta(5, 0, 10), delta(5, 0, 10), arrival=NOW + 200 * SECOND)
    assert list(shown.values("c_total").values()) == [5.0]
    assert shown.filtered() == {"duplicate": 1}


def test_as_many_deltas_as_said_are_known_again() -> None:
    shown = Shown()
    bodies = [delta(1, i, i + 1) for i in range(40)]
    shown.send(*bodies, *bodies[-16:], arrival=NOW + 200 * SECOND)
    assert list(shown.values("c_total").values()) == [40.0]
    shown.send(bodies[0], arrival=NOW + 200 * SECOND)
    assert list(shown.values("c_total").values()) == [41.0]


def test_a_series_that_expired_begins_anew() -> None:
    shown = Shown(stale_after_ns=60 * SECOND)
    shown.send(delta(5, 0, 10), arrival=NOW + 10 * SECOND)
    shown.tick(NOW + 70 * SECOND)
    shown.send(delta(2, 90, 100), arrival=NOW + 100 * SECOND)
    assert list(shown.values("c_total").values()) == [2.0]
    assert shown.created("c_total") == (NOW + 90 * SECOND) / 1e9


def test_a_histogram_with_new_bounds_begins_anew() -> None:
    shown = Shown()
    old = buckets([1.0], [1, 2], start=NOW - 2, time=NOW - 1, exemplars=[exemplar(0.5)])
    new = buckets([2.0], [3, 4], start=NOW - SECOND, time=NOW)
    shown.send(request(histogram(old, new, temporality=DELTA)))
    (snapshot,) = shown.snapshots("h")
    assert isinstance(snapshot.data, Histograms)
    assert (snapshot.data.bounds, snapshot.data.bucket_counts.tolist()) == ((2.0,), [[3, 4]])
    assert snapshot.data.exemplars == {}
    assert snapshot.created[0] == (NOW - SECOND) / 1e9


def test_deltas_without_a_start_are_added_up_since_the_first_arrived() -> None:
    shown = Shown()
    points = [number(1, time=NOW + i) for i in range(3)]
    shown.send(request(counter(*points, temporality=DELTA)), arrival=NOW + 5)
    assert list(shown.values("c_total").values()) == [3.0]
    assert shown.created("c_total") == (NOW + 5) / 1e9


def test_a_histogram_whose_points_begin_or_cease_to_have_a_sum_begins_anew() -> None:
    shown = Shown()
    sums = [1.0, 2.0, None, None, 5.0]
    expected = [(2, 1.0), (4, 3.0), (2, None), (4, None), (2, 5.0)]
    for i, (total, (count, sum_)) in enumerate(zip(sums, expected, strict=True)):
        start, end = NOW + i * SECOND, NOW + (i + 1) * SECOND
        point = buckets([1.0], [1, 1], total=total, start=start, time=end)
        shown.send(request(histogram(point, temporality=DELTA)), arrival=end)
        (snapshot,) = shown.snapshots("h")
        assert isinstance(snapshot.data, Histograms)
        assert snapshot.data.counts.tolist() == [count]
        shown_sum = float(snapshot.data.sums[0])
        assert shown_sum == sum_ if sum_ is not None else np.isnan(shown_sum)
    assert snapshot.created.tolist() == [(NOW + 4 * SECOND) / 1e9]
