"""Real metrics of a host and of a Collector: what is shown is the last value of each series."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from points.otlp_metrics import NOW, SECOND
from processors.shown_metrics import Shown
from spanmill.points.decoder import decode_metrics
from spanmill.spans.framed import read_framed


@pytest.fixture(scope="module")
def bodies(shared_data: Path) -> list[bytes]:
    return list(read_framed(shared_data / "hostandcollector-otelmetrics.zst"))


def last_values(bodies: list[bytes]) -> list[float]:
    """Of each series, told apart by nothing but the protobuf library's objects."""
    last: dict[bytes, float] = {}
    for body in bodies:
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    sender = resource.resource.SerializeToString() + metric.name.encode()
                    for point in getattr(metric, metric.WhichOneof("data") or "").data_points:
                        key = b"".join(pair.SerializeToString() for pair in point.attributes)
                        value = getattr(point, point.WhichOneof("value"))
                        last[sender + scope.scope.name.encode() + key] = value
    return list(last.values())


def test_every_last_value_is_right(bodies: list[bytes]) -> None:
    shown = Shown(max_series=50_000)
    for number, body in enumerate(bodies):
        shown.send(body, arrival=NOW + number * SECOND)
    values = [v for name in shown.names() for v in shown.values(name).values()]
    assert sorted(values) == sorted(map(float, last_values(bodies)))
    assert shown.books() == {"counted_own": 208_352}
    assert shown.conflicts() == 0
    assert shown.scrape("system_memory_usage_bytes{")


def test_the_bytes_go_on_as_they_came(bodies: list[bytes]) -> None:
    assert all(decode_metrics(body).batch.payload is body for body in bodies)
