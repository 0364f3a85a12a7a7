"""What a service's OpenTelemetry SDK measures, through a whole processor to a destination."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcMetricExporter,
)
from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
    OTLPMetricExporter as HttpMetricExporter,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import (
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource

from exporters.otlp.peers import GrpcPeer, HttpPeer
from running_processor import RunningProcessor, Samples, Start
from waiting import Eventually


@pytest.fixture(params=["http/protobuf", "grpc"])
def protocol(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def peer(protocol: str) -> Iterator[HttpPeer | GrpcPeer]:
    running = GrpcPeer() if protocol == "grpc" else HttpPeer()
    yield running
    running.close()


def exporter_to(processor: RunningProcessor, protocol: str) -> MetricExporter:
    if protocol == "grpc":
        return GrpcMetricExporter(f"127.0.0.1:{processor.ports['grpc']}", insecure=True)
    return HttpMetricExporter(f"http://127.0.0.1:{processor.ports['http']}/v1/metrics")


def measure(exporter: MetricExporter) -> None:
    """A service's life: five kinds of instruments, two exports, an end."""
    provider = MeterProvider(
        [PeriodicExportingMetricReader(exporter, export_interval_millis=1e9)],
        Resource({"service.name": "shop", "service.instance.id": "1"}),
        views=[
            View(
                instrument_name="request.size", aggregation=ExponentialBucketHistogramAggregation()
            )
        ],
    )
    meter = provider.get_meter("tests", "1.0")
    orders = meter.create_counter("orders", unit="{order}")
    queue = meter.create_up_down_counter("queue.length")
    latency = meter.create_histogram("latency", unit="s")
    size = meter.create_histogram("request.size", unit="By")
    gauge = meter.create_gauge("temperature", unit="Cel")
    for number in range(1, 11):
        orders.add(number, {"paid": True})
        queue.add(-number)
        latency.record(number / 10)
        size.record(number * 1000)
        gauge.set(number / 3)
        if number == 5:
            provider.force_flush()
    provider.shutdown()


def total(samples: Samples, name: str, **labels: str) -> float:
    return sum(
        value for (found, has), value in samples.items() if found == name and labels.items() <= has
    )


def test_the_destination_gets_the_bytes_that_the_sdk_sent(
    start: Start, peer: HttpPeer | GrpcPeer, protocol: str, eventually: Eventually
) -> None:
    endpoint = f"http://127.0.0.1:{peer.port}"
    processor = start(
        exporters={
            "otlp_metrics": {"sink": {"endpoint": endpoint, "protocol": protocol, "derived": False}}
        }
    )
    received: list[bytes] = []
    intake = processor.pipeline._intakes[1]
    take = intake.take

    def watched(body: bytes, source: str):  # type: ignore[no-untyped-def]  # passed on as it is
        received.append(body)
        return take(body, source)

    intake.take = watched  # type: ignore[method-assign]  # to see what came in
    measure(exporter_to(processor, protocol))
    points = sum(points_in(body) for body in received)
    eventually(
        lambda: total(processor.scrape(), "spanmill_export_metric_points_total") == points,
        "all is delivered",
    )
    assert points == 10
    assert b"".join(peer.taken) == b"".join(received)
    samples = processor.scrape()
    assert total(samples, "spanmill_metric_points_received_total", outcome="accepted") == points
    assert total(samples, "spanmill_metric_points_accepted_total") == points
    assert total(samples, "spanmill_books_difference_metric_points") == 0
    transport = "grpc" if protocol == "grpc" else "http"
    requests = {"receiver": transport, "signal": "metrics", "outcome": "accepted"}
    assert total(samples, "spanmill_receiver_requests_total", **requests) == len(received)


def test_the_scrape_shows_the_latest_values(start: Start, protocol: str) -> None:
    processor = start()
    measure(exporter_to(processor, protocol))
    samples = processor.scrape()
    assert total(samples, "orders_total", job="shop", paid="true") == 55
    assert total(samples, "queue_length") == -55
    assert total(samples, "temperature_celsius") == pytest.approx(10 / 3)
    assert total(samples, "latency_seconds_count") == 10
    assert total(samples, "latency_seconds_sum") == pytest.approx(5.5)


def points_in(body: bytes) -> int:
    request = ExportMetricsServiceRequest.FromString(body)
    return sum(
        len(getattr(metric, str(metric.WhichOneof("data"))).data_points)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )
