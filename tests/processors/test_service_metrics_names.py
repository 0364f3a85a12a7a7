"""Names that can't be shown, or not beside each other."""

from __future__ import annotations

import logging

import pytest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from points.otlp_metrics import (
    DELTA,
    NOW,
    SECOND,
    buckets,
    counter,
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


def test_a_name_that_cannot_be_translated_is_filtered() -> None:
    shown = Shown()
    shown.send(request(gauge(number(1), name="日本"), gauge(number(1), name="x" * 2000)))
    assert shown.names() == []
    assert shown.filtered() == {"no_name": 2}


def test_two_types_of_one_name_show_the_first_until_it_is_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shown = Shown(stale_after_ns=60 * SECOND)
    second = request(summary(quantiles([]), name="x"), resource={"service.name": "b"})
    with caplog.at_level(logging.WARNING):
        shown.send(request(gauge(number(1), name="x")), second, second, arrival=NOW)
    assert shown.family("x").type == "gauge"
    assert (shown.conflicts(), shown.filtered()) == (2, {"conflict": 2})
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    shown.tick(NOW + 60 * SECOND)
    shown.send(second, arrival=NOW + 61 * SECOND)
    assert shown.family("x").type == "summary"


def test_many_conflicts_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    shown = Shown(max_series=5000)
    names = [f"x.{i}" for i in range(1001)]
    shown.send(request(*(gauge(number(1), name=name) for name in names)))
    others = request(*(summary(quantiles([]), name=name) for name in names))
    minute = NOW // (60 * SECOND) * 60 * SECOND
    with caplog.at_level(logging.WARNING):
        shown.send(others, others, others, arrival=minute)
        assert len(caplog.records) == 10
        shown.tick(minute + 59 * SECOND)
        assert len(caplog.records) == 10
        shown.tick(minute + 60 * SECOND)
        assert len(caplog.records) == 11
    assert vars(caplog.records[-1])["conflicts"] == 3 * 1001 - 10
    assert shown.conflicts() == 3 * 1001


@pytest.mark.parametrize(
    "metric",
    [
        counter(number(1), name="spanmill.metric_points_accepted"),
        gauge(number(1), name="spanmill_service_metric_bytes"),
        gauge(number(1), name="target.info"),
        counter(number(1), name="target.info"),
        gauge(number(1), name="late_sum"),
        gauge(number(1), name="late_bucket"),
        counter(number(1), name="late.count"),
    ],
    ids=lambda metric: metric.name,
)
def test_no_metric_breaks_the_scrape_by_its_name(metric: pb.Metric) -> None:
    shown = Shown()
    host = {"service.name": "shop", "host.name": "h"}
    shown.send(request(histogram(buckets([], [1]), name="late"), resource=host))
    shown.send(request(metric, resource=host))
    shown.scrape()
    assert sum(shown.books().values()) == 2


@pytest.mark.parametrize(
    "metric",
    [
        gauge(number(1), name="target_info"),
        gauge(number(1), name="target.info"),
        counter(number(1), name="target_info"),
        histogram(buckets([], [1]), name="target_info"),
    ],
    ids=["same type", "other spelling", "counter", "histogram"],
)
def test_no_service_can_take_target_info(metric: pb.Metric) -> None:
    shown = Shown(stale_after_ns=60 * SECOND)
    for arrival in (NOW, NOW + 60 * SECOND):
        shown.send(request(metric, resource={"service.name": "first"}), arrival=arrival)
        shown.send(
            request(
                gauge(number(1, time=arrival)), resource={"service.name": "shop", "host.name": "h"}
            ),
            arrival=arrival,
        )
        assert shown.values("target_info") == {(("host_name", "h"), ("job", "shop")): 1.0}
        shown.tick(arrival + 60 * SECOND)
        assert shown.names() == []
    assert shown.filtered() == {"conflict": 2}


def test_delta_and_cumulative_points_of_one_series_do_not_mix() -> None:
    shown = Shown()
    shown.send(request(counter(number(5))))
    shown.send(request(counter(number(1, time=NOW + 1), temporality=DELTA)))
    assert list(shown.values("c_total").values()) == [5.0]
    assert shown.filtered() == {"conflict": 1}


def test_a_histogram_may_be_explicit_for_one_service_and_exponential_for_another() -> None:
    shown = Shown()
    shown.send(
        request(histogram(buckets([1.0], [1, 1]), name="x")),
        request(exponential(native([1]), name="x"), resource={"service.name": "b"}),
    )
    assert len(shown.snapshots("x")) == 2
    shown.scrape()
