"""What a service's OpenTelemetry SDK measures, through a whole processor to a destination."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import (
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource

from exporters.otlp.peers import GrpcPeer, HttpPeer
from points import otlp_metrics
from points.otlp_metrics import counter, gauge, number
from running_processor import RunningProcessor, Samples, Start
from spanmill.points.batch import PointBatch
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
    temperature = meter.create_gauge("temperature", unit="Cel")
    for step in range(1, 11):
        orders.add(step, {"paid": True})
        queue.add(-step)
        latency.record(step / 10)
        size.record(step * 1000)
        temperature.set(step / 3)
        if step == 5:
            provider.force_flush()
    provider.shutdown()


def total(samples: Samples, name: str, **labels: str) -> float:
    return sum(
        value for (found, has), value in samples.items() if found == name and labels.items() <= has
    )


def test_the_destination_gets_the_bytes_that_the_sdk_sent(
    start: Start,
    peer: HttpPeer | GrpcPeer,
    protocol: str,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
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

    def watched(body: bytes, *others: Any) -> Any:
        received.append(body)
        return take(body, *others)

    monkeypatch.setattr(intake, "take", watched)
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


def send(processor: RunningProcessor, *metrics: pb.Metric) -> None:
    processor.send_http(otlp_metrics.request(*metrics), path="/v1/metrics")


def test_a_fault_of_the_processor_loses_no_point_and_the_books_balance(
    start: Start, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    def fail(_: PointBatch) -> None:
        raise ZeroDivisionError

    sink = start()
    endpoint = {"endpoint": f"http://127.0.0.1:{sink.ports['http']}", "derived": False}
    processor = start(exporters={"otlp_metrics": {"sink": endpoint}})
    send(processor, gauge(number(1), number(2)))
    monkeypatch.setattr(processor.pipeline._derivation._service_metrics.processor, "observe", fail)
    send(processor, gauge(number(1), number(2), number(3)))
    samples = processor.scrape()
    assert total(samples, "spanmill_processor_errors_total", processor="service_metrics") == 1
    assert total(samples, "spanmill_metric_points_accepted_total", outcome="filtered") >= 3
    assert total(samples, "spanmill_metric_points_accepted_total") == 5
    assert total(samples, "spanmill_books_difference_metric_points") == 0
    eventually(
        lambda: total(sink.scrape(), "spanmill_metric_points_received_total") == 5,
        "the destination has all of the points",
    )


def test_the_books_of_points_balance_at_every_scrape(start: Start, eventually: Eventually) -> None:
    sink = start()
    up = {"endpoint": f"http://127.0.0.1:{sink.ports['http']}", "derived": False}
    down = {"endpoint": "http://127.0.0.1:9", "max_backlog": 5000, "derived": False}
    only_derived = {"endpoint": "http://127.0.0.1:9", "service_metrics": False}
    processor = start(
        exporters={
            "otlp_metrics": {"up": up, "down": down, "derived": only_derived},
            "otlp_traces": {"down": {"endpoint": "http://127.0.0.1:9"}},
        },
        service_metrics={"max_series": 20},
    )
    for turn in range(40):
        good = [number(1, attributes={"k": f"{turn}-{n}"}) for n in range(5)]
        send(processor, gauge(*good, number(None)), counter(number(turn), name="c"))
        samples = processor.scrape()
        differences = {
            dict(labels)["book"]: value
            for (name, labels), value in samples.items()
            if name == "spanmill_books_difference_metric_points"
        }
        assert differences == {"processing": 0, "up": 0, "down": 0}
    assert total(samples, "spanmill_metric_points_received_total", outcome="accepted") == 240
    assert total(samples, "spanmill_metric_points_received_total", outcome="invalid") == 40
    assert total(samples, "spanmill_receiver_refused_items_total", reason="no_value") == 40
    expired = {"exporter": "down", "outcome": "expired"}
    assert total(samples, "spanmill_export_metric_points_total", **expired) > 0
    eventually(
        lambda: total(sink.scrape(), "spanmill_metric_points_received_total") == 240,
        "the destination that is up has all that was accepted",
    )


def points_in(body: bytes) -> int:
    request = ExportMetricsServiceRequest.FromString(body)
    return sum(
        len(getattr(metric, str(metric.WhichOneof("data"))).data_points)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )
