"""Metrics of a service, emitted by the real OpenTelemetry SDK, arrive in a real Prometheus.

The way is the shipped one: SDK → Collector with sidecar.yaml → spanmill → scrape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from components.collector import start_collector
from components.process import free_ports, running_processes, wait_until
from components.processor import start_spanmill
from components.prometheus import Prometheus, start_prometheus
from components.shipped import COLLECTOR_CONFIG

pytestmark = pytest.mark.components

ARRIVAL_DEADLINE = 30.0
NEVER = 3_600_000.0
"""Milliseconds between exports of the SDK: the test flushes by itself."""
RESOURCE = {
    "service.name": "checkout",
    "service.namespace": "shop",
    "service.instance.id": "checkout-1",
    "deployment.environment.name": "production",
}
IDENTITY = 'job="shop/checkout",instance="checkout-1"'
DURATIONS = (0.004, 0.03, 0.03, 0.7)
BOUNDS = (0.005, 0.05, 0.5)


@dataclass(frozen=True)
class Service:
    """A service that emits metrics, and the Prometheus that they arrive in."""

    provider: MeterProvider
    prometheus: Prometheus

    def flush(self) -> None:
        assert self.provider.force_flush()

    def wait_for(self, expression: str, value: float) -> None:
        wait_until(
            lambda: self.prometheus.scalar(expression) == value,
            ARRIVAL_DEADLINE,
            f"{expression} is {value}; now it is {self.prometheus.query(expression)}",
        )


@pytest.fixture(scope="module")
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    folders = {name: folder / name for name in ("spanmill", "prometheus", "collector")}
    for each in folders.values():
        each.mkdir()
    with running_processes(request.config) as started:
        spanmill = start_spanmill(
            started, folders["spanmill"], COLLECTOR_CONFIG / "spanmill-tap.yaml", {}
        )
        (port,) = free_ports(1)
        prometheus = start_prometheus(
            started, folders["prometheus"], [spanmill.scrape], port, forms={}
        )
        collector = start_collector(
            started, folders["collector"], "sidecar.yaml", {"SPANMILL_ENDPOINT": spanmill.grpc}
        )
        exporter = OTLPMetricExporter(endpoint=f"http://{collector.grpc}", insecure=True)
        provider = MeterProvider(
            metric_readers=[PeriodicExportingMetricReader(exporter, NEVER)],
            resource=Resource(RESOURCE),
            shutdown_on_exit=False,
        )
        yield Service(provider, prometheus)
        provider.shutdown()


def test_a_counter_arrives_and_goes_on(service: Service) -> None:
    orders = service.provider.get_meter("shop").create_counter("checkout.orders", "{order}")
    orders.add(3, {"payment.method": "card"})
    service.flush()
    series = f'checkout_orders_total{{{IDENTITY},payment_method="card"}}'
    service.wait_for(series, 3)
    orders.add(4, {"payment.method": "card"})
    service.flush()
    service.wait_for(series, 7)


def test_a_gauge_shows_its_latest_value(service: Service) -> None:
    gauge = service.provider.get_meter("shop").create_gauge("queue.fill", "1")
    gauge.set(0.25)
    service.flush()
    service.wait_for(f"queue_fill_ratio{{{IDENTITY}}}", 0.25)
    gauge.set(0.5)
    service.flush()
    service.wait_for(f"queue_fill_ratio{{{IDENTITY}}}", 0.5)


def test_a_histogram_has_every_bucket(service: Service) -> None:
    histogram = service.provider.get_meter("shop").create_histogram(
        "checkout.duration", "s", explicit_bucket_boundaries_advisory=BOUNDS
    )
    for duration in DURATIONS:
        histogram.record(duration)
    service.flush()
    service.wait_for(f"checkout_duration_seconds_count{{{IDENTITY}}}", len(DURATIONS))
    prometheus = service.prometheus
    assert prometheus.scalar(f"checkout_duration_seconds_sum{{{IDENTITY}}}") == pytest.approx(
        sum(DURATIONS)
    )
    buckets = prometheus.by("le", f"checkout_duration_seconds_bucket{{{IDENTITY}}}")
    assert {float(le): count for le, count in buckets.items()} == {
        bound: sum(duration <= bound for duration in DURATIONS) for bound in (*BOUNDS, float("inf"))
    }


def test_the_resource_is_shown_beside(service: Service) -> None:
    service.wait_for(f'target_info{{{IDENTITY},deployment_environment_name="production"}}', 1)


def test_nothing_of_the_scrape_is_refused(service: Service) -> None:
    assert service.prometheus.failed_scrapes() == []
