"""Recorded metrics of a host and a Collector: every last value is right in a real Prometheus."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import urllib3
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from components.process import Processes, free_ports, wait_until
from components.processor import Spanmill, start_spanmill
from components.prometheus import Labels, Prometheus, start_prometheus
from components.shipped import COLLECTOR_CONFIG

pytestmark = pytest.mark.components

ARRIVAL_DEADLINE = 60.0
UNITS = {"By": "_bytes", "s": "_seconds"}
IDENTITY = {"service.name": "job", "service.instance.id": "instance"}


def text(pair: KeyValue) -> str:
    value = pair.value
    return value.string_value or str(value.int_value or "").lower()


def shown_name(metric: Metric) -> str:
    name = metric.name.replace(".", "_")
    unit = UNITS.get(metric.unit, "")
    name += "" if name.endswith(unit) else unit
    # Of a counter the word stands at the end alone, as Prometheus's own OTLP receiver has it.
    return name.replace("_total", "") + "_total" if metric.sum.is_monotonic else name


def last_values(requests: Sequence[bytes]) -> dict[Labels, float]:
    """The value of the latest point of each series, by a plain loop."""
    latest: dict[Labels, tuple[int, float]] = {}
    for request in map(ExportMetricsServiceRequest.FromString, requests):
        for resource in request.resource_metrics:
            sender = {IDENTITY.get(a.key, ""): text(a) for a in resource.resource.attributes}
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.gauge.data_points or metric.sum.data_points:
                        labels = {re.sub(r"\W", "_", a.key): text(a) for a in point.attributes}
                        labels |= sender | {"__name__": shown_name(metric)}
                        labels |= {
                            "otel_scope_name": scope.scope.name,
                            "otel_scope_version": scope.scope.version,
                        }
                        key = tuple(sorted((k, v) for k, v in labels.items() if k and v))
                        value = point.as_double or float(point.as_int)
                        found = (point.time_unix_nano, value)
                        latest[key] = max(latest.get(key, (0, 0.0)), found, key=lambda f: f[0])
    return {key: value for key, (_, value) in latest.items()}


def send(spanmill: Spanmill, requests: Sequence[bytes]) -> None:
    with urllib3.PoolManager() as pool:
        for body in requests:
            response = pool.request(
                "POST",
                f"http://{spanmill.http}/v1/metrics",
                body=body,
                headers={"Content-Type": "application/x-protobuf"},
            )
            assert (response.status, response.data) == (200, b"")


def in_prometheus(prometheus: Prometheus, target: str) -> dict[Labels, float]:
    """What was passed through, without the labels that Prometheus gives where there are none."""
    found = {}
    for labels, value in prometheus.query('{otel_scope_name!=""}').items():
        scraped = {"job": "spanmill", "instance": target}
        kept = tuple(pair for pair in labels if scraped.get(pair[0]) != pair[1])
        found[kept] = value
    return found


def test_every_last_value_is_right_in_prometheus(
    processes: Processes, tmp_path: Path, host_metric_requests: list[bytes]
) -> None:
    folders = [tmp_path / name for name in ("spanmill", "prometheus")]
    for folder in folders:
        folder.mkdir()
    spanmill = start_spanmill(processes, folders[0], COLLECTOR_CONFIG / "spanmill-tap.yaml", {})
    (port,) = free_ports(1)
    prometheus = start_prometheus(processes, folders[1], [spanmill.scrape], port, forms={})
    send(spanmill, host_metric_requests)
    points = 'sum(spanmill_metric_points_accepted_total{outcome="counted_own"})'
    wait_until(lambda: prometheus.scalar(points) == 208_352, ARRIVAL_DEADLINE, points)
    expected = last_values(host_metric_requests)
    got = in_prometheus(prometheus, spanmill.scrape)
    assert got.keys() == expected.keys()
    assert got == expected
    assert prometheus.failed_scrapes() == []
    difference = prometheus.by("book", "spanmill_books_difference_spans")
    assert set(difference.values()) <= {0.0}
