"""What services send, and what the scrape shows of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from points.otlp_metrics import (
    CUMULATIVE,
    DELTA,
    NOT_RECORDED,
    NOW,
    SECOND,
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
from processors.shown_metrics import Shown
from spanmill.exporters.exposition import Format, render
from spanmill.series.snapshot import Family, Histograms, Summaries


def test_the_latest_value_of_each_series_is_shown() -> None:
    shown = Shown()
    shown.send(request(gauge(number(1, attributes={"k": "a"}), number(2, attributes={"k": "b"}))))
    shown.send(request(gauge(number(3, time=NOW + 1, attributes={"k": "a"}))))
    assert shown.values("g") == {
        (("job", "shop"), ("k", "a")): 3.0,
        (("job", "shop"), ("k", "b")): 2.0,
    }
    assert shown.books() == {"counted_own": 3}


def test_families_have_the_type_unit_and_help_of_the_metric() -> None:
    shown = Shown()
    metric = counter(number(1), name="http.time", unit="s")
    metric.description = "Time."
    other = counter(number(1), name="http.time", unit="s")
    other.description = "Another text."
    shown.send(request(metric), request(other, resource={"service.name": "b"}))
    assert shown.family("http_time_seconds_total") == Family(
        "http_time_seconds_total", "counter", "Time.", "seconds"
    )
    assert len(shown.values("http_time_seconds_total")) == 2


def test_an_up_down_counter_is_a_gauge() -> None:
    shown = Shown()
    shown.send(request(counter(number(-1), monotonic=False)))
    assert shown.family("c").type == "gauge"
    assert list(shown.values("c").values()) == [-1.0]


def test_a_histogram_shows_its_buckets_and_created_stamp() -> None:
    shown = Shown()
    shown.send(request(histogram(buckets([1.0, 2.0], [1, 2, 3], start=NOW - SECOND, total=7.0))))
    (snapshot,) = shown.snapshots("h")
    assert isinstance(snapshot.data, Histograms)
    assert snapshot.data.bounds == (1.0, 2.0)
    assert snapshot.data.bucket_counts.tolist() == [[1, 2, 3]]
    assert (snapshot.data.counts[0], snapshot.data.sums[0]) == (6, 7.0)
    assert snapshot.created[0] == (NOW - SECOND) / 1e9


def test_a_histogram_without_buckets_has_one_for_all() -> None:
    shown = Shown()
    shown.send(request(histogram(pb.HistogramDataPoint(time_unix_nano=NOW, count=4, sum=2.0))))
    (snapshot,) = shown.snapshots("h")
    assert isinstance(snapshot.data, Histograms)
    assert (snapshot.data.bounds, snapshot.data.bucket_counts.tolist()) == ((), [[4]])


def test_a_histogram_without_a_sum_shows_none() -> None:
    shown = Shown()
    shown.send(request(histogram(buckets([1.0], [1, 2], total=None))))
    page = b"".join(render(shown.snapshots("h"), Format.TEXT, created_timestamps=False))
    assert b"h_count" in page
    assert b"h_sum" not in page


def test_series_with_other_bounds_are_a_block_of_their_own() -> None:
    shown = Shown()
    shown.send(
        request(histogram(buckets([1.0], [1, 2]))),
        request(histogram(buckets([2.0], [3, 4])), resource={"service.name": "b"}),
    )
    blocks = [snapshot.data for snapshot in shown.snapshots("h")]
    assert [block.bounds for block in blocks if isinstance(block, Histograms)] == [(1.0,), (2.0,)]


def test_an_exponential_histogram_is_native() -> None:
    shown = Shown()
    shown.send(request(exponential(native([1, 2], offset=3, negative=[4], zeros=5))))
    (snapshot,) = shown.snapshots("e")
    assert isinstance(snapshot.data, Histograms)
    assert snapshot.data.native is not None
    (shape,) = snapshot.data.native
    assert (shape.schema, shape.zero_count, shape.zero_threshold) == (0, 5, 1e-128)
    assert (shape.first, shape.counts.tolist()) == (4, [1, 2])
    assert (shape.negative_first, shape.negative_counts.tolist()) == (1, [4])
    assert snapshot.data.counts.tolist() == [12]


def test_a_scale_that_prometheus_has_not_is_filtered() -> None:
    shown = Shown()
    shown.send(request(exponential(native([1], scale=-5))))
    assert shown.names() == []
    assert shown.books() == {"filtered": 1}
    assert shown.filtered() == {"scale": 1}


def test_a_summary_shows_its_quantiles() -> None:
    shown = Shown()
    shown.send(request(summary(quantiles([(0.5, 1.0), (0.9, math.nan)], count=3, total=9.0))))
    (snapshot,) = shown.snapshots("s")
    assert isinstance(snapshot.data, Summaries)
    assert snapshot.data.quantiles == (0.5, 0.9)
    np.testing.assert_equal(snapshot.data.values, [[1.0, math.nan]])
    assert (snapshot.data.counts[0], snapshot.data.sums[0]) == (3, 9.0)


def test_a_point_twice_in_a_request_counts_once() -> None:
    shown = Shown()
    shown.send(request(counter(number(1), number(2))))
    assert list(shown.values("c_total").values()) == [1.0]
    assert shown.books() == {"counted_own": 1, "filtered": 1}
    assert shown.filtered() == {"duplicate": 1}


def test_an_older_point_changes_nothing() -> None:
    shown = Shown()
    shown.send(request(gauge(number(2, time=NOW))))
    shown.send(request(gauge(number(1, time=NOW - 1))))
    assert list(shown.values("g").values()) == [2.0]
    assert shown.filtered() == {"late": 1}


def test_a_clock_that_ran_ahead_keeps_no_later_point_out() -> None:
    shown = Shown()
    shown.send(request(gauge(number(1, time=2**63))), arrival=NOW)
    shown.send(request(gauge(number(2, time=NOW + SECOND))), arrival=NOW + SECOND)
    assert list(shown.values("g").values()) == [2.0]


def test_points_of_a_fast_clock_keep_their_order_in_a_request() -> None:
    shown = Shown()
    ahead = NOW + 3600 * SECOND
    shown.send(request(gauge(number(1, time=ahead), number(2, time=ahead + 1))), arrival=NOW)
    assert list(shown.values("g").values()) == [2.0]


def test_a_point_without_a_time_counts_as_of_its_arrival() -> None:
    shown = Shown()
    shown.send(request(gauge(number(1, time=0))), arrival=NOW)
    shown.send(request(gauge(number(2, time=0))), arrival=NOW + 1)
    assert list(shown.values("g").values()) == [2.0]


def test_a_series_without_a_value_disappears_at_once_and_may_come_back() -> None:
    shown = Shown()
    shown.send(request(gauge(number(1))))
    shown.send(request(gauge(number(None, time=NOW + 1, flags=NOT_RECORDED))))
    assert "g" not in shown.names()
    shown.send(request(gauge(number(1, time=NOW))))
    assert "g" not in shown.names()
    shown.send(request(gauge(number(3, time=NOW + 2))))
    assert list(shown.values("g").values()) == [3.0]
    assert shown.books() == {"counted_own": 3, "filtered": 1}


def test_that_there_is_no_value_of_an_unknown_series_shows_nothing() -> None:
    shown = Shown()
    for temporality in (CUMULATIVE, DELTA):
        point = number(None, time=NOW + temporality, flags=NOT_RECORDED)
        shown.send(request(counter(point, name=str(temporality), temporality=temporality)))
    assert shown.names() == []
    assert shown.filtered() == {"not_recorded": 2}


def test_a_counter_shows_since_when_it_counts() -> None:
    shown = Shown()
    shown.send(request(counter(number(5, start=NOW - 9 * SECOND))))
    assert shown.created("c_total") == (NOW - 9 * SECOND) / 1e9
    shown.send(request(counter(number(1, start=NOW, time=NOW + SECOND))), arrival=NOW + SECOND)
    assert shown.created("c_total") == NOW / 1e9


@pytest.mark.parametrize("start", [0, NOW, NOW + 1])
def test_a_start_that_says_nothing_is_unknown(start: int) -> None:
    shown = Shown()
    shown.send(request(counter(number(5, start=start))))
    assert math.isnan(shown.created("c_total"))


def test_a_counter_that_falls_began_anew_after_its_last_point() -> None:
    shown = Shown()
    shown.send(request(counter(number(5, start=NOW - SECOND))))
    shown.send(request(counter(number(2, start=NOW - SECOND, time=NOW + SECOND))))
    assert list(shown.values("c_total").values()) == [2.0]
    assert shown.created("c_total") == NOW / 1e9
    shown.send(request(counter(number(3, start=NOW - SECOND, time=NOW + 2 * SECOND))))
    assert shown.created("c_total") == NOW / 1e9


def test_a_gauge_has_no_created_stamp() -> None:
    shown = Shown()
    shown.send(request(gauge(number(5, start=NOW - SECOND))))
    assert math.isnan(shown.created("g"))


def test_an_idle_series_disappears_and_its_name_is_free() -> None:
    shown = Shown(stale_after_ns=60 * SECOND)
    shown.send(request(gauge(number(1), name="x")), arrival=NOW)
    shown.tick(NOW + 59 * SECOND)
    assert "x" in shown.names()
    shown.tick(NOW + 60 * SECOND)
    assert shown.names() == []
    shown.send(request(summary(quantiles([]), name="x")), arrival=NOW + 61 * SECOND)
    assert shown.family("x").type == "summary"


def test_points_that_change_nothing_keep_no_series() -> None:
    shown = Shown(stale_after_ns=60 * SECOND)
    shown.send(request(gauge(number(1))), arrival=NOW)
    shown.send(request(gauge(number(1))), arrival=NOW + 30 * SECOND)
    shown.tick(NOW + 60 * SECOND)
    assert shown.names() == []


def test_beyond_the_limit_points_are_counted_and_not_shown() -> None:
    shown = Shown(max_series=2)
    points = [number(i, attributes={"k": str(i)}) for i in range(5)]
    shown.send(request(gauge(*points)))
    assert sorted(shown.values("g").values()) == [0.0, 1.0]
    assert shown.books() == {"counted_own": 2, "counted_overflow": 3}
    shown.send(request(gauge(number(7, time=NOW + 1, attributes={"k": "0"}))))
    assert sorted(shown.values("g").values()) == [1.0, 7.0]


def test_a_family_that_finds_no_room_holds_no_name() -> None:
    shown = Shown(max_series=1, stale_after_ns=SECOND)
    shown.send(request(gauge(number(1), name="a"), gauge(number(1), name="b")))
    shown.tick(NOW + SECOND)
    shown.send(request(summary(quantiles([]), name="b")), arrival=NOW + SECOND)
    assert shown.names() == ["b"]


def test_many_labels_take_the_room_of_many_series() -> None:
    shown = Shown(max_series=10)
    for i in range(100):
        attributes = {f"{i}.{j}": "v" * 2000 for j in range(20)}
        shown.send(request(gauge(number(i, attributes=attributes))))
    assert shown.books()["counted_overflow"] > 90
    assert shown.estimated_bytes <= 10 * 4096


def test_many_buckets_take_the_room_of_many_series() -> None:
    shown = Shown(max_series=12)
    bounds = [float(i) for i in range(400)]
    for i in range(5):
        point = buckets(bounds, [1] * 401, attributes={"k": str(i)})
        shown.send(request(histogram(point)))
    assert shown.books() == {"counted_own": 1, "counted_overflow": 4}
    assert len(shown.snapshots("h")[0].labels) == 1
    assert shown.estimated_bytes <= 12 * 4096


def test_what_is_remembered_of_keys_is_bounded() -> None:
    shown = Shown(max_series=3)
    for i in range(50):
        shown.send(request(gauge(number(i, time=NOW + i, attributes={f"e{i}": ""}))))
    assert list(shown.values("g").values()) == [49.0]
    assert shown.remembered_keys() <= 9


def test_the_latest_exemplar_of_each_bucket_is_shown() -> None:
    shown = Shown()
    first = [exemplar(value, NOW - ago * SECOND) for value, ago in ((0.5, 2), (0.7, 1), (9.0, 3))]
    shown.send(request(histogram(buckets([1.0, 2.0], [2, 0, 1], exemplars=first))))
    later = [exemplar(1.0, NOW), exemplar(8.0, NOW - 9 * SECOND)]
    point = buckets([1.0, 2.0], [3, 0, 2], time=NOW + 1, exemplars=later)
    shown.send(request(histogram(point)))
    (snapshot,) = shown.snapshots("h")
    assert isinstance(snapshot.data, Histograms)
    found = snapshot.data.exemplars[0]
    assert {bucket: one.value for bucket, one in found.items()} == {0: 1.0, 2: 9.0}
    assert found[0].labels == (("trace_id", "01" * 16), ("span_id", "01" * 8))
    assert found[0].seconds == NOW / 1e9


def test_counters_and_native_histograms_show_their_latest_exemplar() -> None:
    shown = Shown()
    both = [exemplar(1.0, NOW), exemplar(2.0, NOW - SECOND)]
    shown.send(
        request(counter(number(1, exemplars=both)), exponential(native([1], exemplars=both)))
    )
    counted = shown.snapshots("c_total")[0].data
    assert not isinstance(counted, Histograms | Summaries)
    assert counted.exemplars[0].value == 1.0
    observed = shown.snapshots("e")[0].data
    assert isinstance(observed, Histograms)
    assert observed.exemplars[0][0].value == 1.0


def test_exemplars_are_bounded_in_number() -> None:
    shown = Shown(max_series=2)
    four = [exemplar(value) for value in (0.5, 1.5, 2.5, 3.5)]
    shown.send(request(histogram(buckets([1.0, 2.0, 3.0], [1, 1, 1, 1], exemplars=four))))
    (snapshot,) = shown.snapshots("h")
    assert isinstance(snapshot.data, Histograms)
    assert len(snapshot.data.exemplars[0]) == 2


def test_exemplars_end_with_what_they_stand_for() -> None:
    shown = Shown(max_series=1)
    for i in range(5):
        point = buckets([1.0], [1, 0], time=NOW + i, start=i + 1, exemplars=[exemplar(0.5)])
        shown.send(request(histogram(point)), arrival=NOW + 5)
        (snapshot,) = shown.snapshots("h")
        assert isinstance(snapshot.data, Histograms)
        assert len(snapshot.data.exemplars[0]) == 1


def test_the_same_points_in_another_split_show_the_same() -> None:
    points = [number(i, time=NOW + i, attributes={"k": str(i % 3)}) for i in range(12)]
    together, apart = Shown(), Shown()
    together.send(request(gauge(*points)), arrival=NOW + 20)
    for point in points:
        apart.send(request(gauge(point)), arrival=NOW + 20)
    assert together.scrape("g") == apart.scrape("g")
