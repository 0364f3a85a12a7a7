"""Replayed real spans, queried in a real Prometheus as a user would, in all forms of the scrape."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import urllib3
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from components.chain import Chain
from components.process import wait_until
from components.processor import replay
from components.prometheus import SCRAPE_FORMS, Labels

pytestmark = pytest.mark.components

ARRIVAL_DEADLINE = 60.0
QUANTILES = (0.5, 0.9, 0.95, 0.99)
# 160 buckets over the 26 octaves from 1 µs to 46 s are 4 for each: neighbours differ by 2^(1/4).
COARSEST_BUCKET = 2**0.25 - 1

SPAN_METRICS = {
    "traces_spanmetrics_calls_total",
    "traces_spanmetrics_latency_bucket",
    "traces_spanmetrics_latency_sum",
    "traces_spanmetrics_latency_count",
    "traces_spanmetrics_size_total",
    "traces_span_metrics_calls_total",
    "traces_span_metrics_duration_milliseconds_bucket",
    "traces_span_metrics_duration_milliseconds_sum",
    "traces_span_metrics_duration_milliseconds_count",
}
TARGETS = {"traces_target_info"}
SERVICE_GRAPH = {
    "traces_service_graph_request_total",
    "traces_service_graph_request_failed_total",
    "traces_service_graph_request_server_seconds_bucket",
    "traces_service_graph_request_server_seconds_sum",
    "traces_service_graph_request_server_seconds_count",
    "traces_service_graph_request_client_seconds_bucket",
    "traces_service_graph_request_client_seconds_sum",
    "traces_service_graph_request_client_seconds_count",
}
PERCENTILES = {"spanmill_latency_seconds"}
BOOKS = {
    "spanmill_spans_received_total",
    "spanmill_spans_accepted_total",
    "spanmill_export_spans_total",
    "spanmill_export_queued_spans",
    "spanmill_window_late_spans_total",
}
HEALTH = {
    "spanmill_build_info",
    "spanmill_decoder_info",
    "spanmill_receiver_requests_total",
    "spanmill_receiver_refused_items_total",
    "spanmill_ack_duration_seconds_bucket",
    "spanmill_ack_duration_seconds_sum",
    "spanmill_ack_duration_seconds_count",
    "spanmill_export_duration_seconds_bucket",
    "spanmill_export_duration_seconds_sum",
    "spanmill_export_duration_seconds_count",
    "spanmill_export_retries_total",
    "spanmill_series",
    "spanmill_series_limit",
    "spanmill_series_overflow_total",
    "spanmill_family_conflicts_total",
    "spanmill_span_lateness_seconds_bucket",
    "spanmill_span_lateness_seconds_sum",
    "spanmill_span_lateness_seconds_count",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_start_time_seconds",
}


class Sent:
    """What was sent, counted by a plain loop over the protobuf objects."""

    def __init__(self, requests: Iterable[bytes]) -> None:
        self.calls: Counter[Labels] = Counter()
        durations = []
        for request in requests:
            for resource_spans in ExportTraceServiceRequest.FromString(request).resource_spans:
                attributes = {
                    a.key: a.value.string_value for a in resource_spans.resource.attributes
                }
                for scope_spans in resource_spans.scope_spans:
                    for span in scope_spans.spans:
                        self.calls[self._labels(attributes["service.name"], span)] += 1
                        durations.append(
                            max(0, span.end_time_unix_nano - span.start_time_unix_nano)
                        )
        self.seconds: npt.NDArray[np.float64] = np.array(durations) / 1e9
        self.spans = len(durations)

    @staticmethod
    def _labels(service: str, span: Span) -> Labels:
        return (
            ("service", service),
            ("span_kind", Span.SpanKind.Name(span.kind)),
            ("span_name", span.name),
            ("status_code", Status.StatusCode.Name(span.status.code)),
        )


@pytest.fixture(scope="module")
def sent(astronomy_requests: list[bytes]) -> Sent:
    return Sent(astronomy_requests)


@pytest.fixture(scope="module")
def replayed(chain: Chain, sent: Sent, astronomy_file: Path) -> Chain:
    """The chain after all spans have been sent, and scraped in every form."""
    send_one_invalid_span(chain)
    replay(astronomy_file, chain.replay_endpoint)
    prometheus = chain.prometheus

    def all_scraped() -> bool:
        calls = prometheus.by("form", "sum by (form) (traces_spanmetrics_calls_total)")
        return all(calls.get(form, 0) >= sent.spans for form in SCRAPE_FORMS)

    def delivered_to_jaeger() -> bool:
        return (
            prometheus.scalar(
                'spanmill_export_spans_total{form="text",exporter="jaeger",outcome="delivered"}'
            )
            >= sent.spans
        )

    wait_until(all_scraped, ARRIVAL_DEADLINE, "every form of the scrape shows every span")
    wait_until(delivered_to_jaeger, ARRIVAL_DEADLINE, "every span is delivered to Jaeger")
    return chain


def send_one_invalid_span(chain: Chain) -> None:
    """Straight to spanmill: the Collector would not let a trace id of seven bytes pass."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    spans.add(trace_id=bytes(range(7)), span_id=bytes(range(8)), name="invalid")
    answer = urllib3.request(
        "POST",
        f"http://{chain.spanmill.http}/v1/traces",
        body=request.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
    )
    assert answer.status == 200


@pytest.mark.parametrize("form", SCRAPE_FORMS)
@pytest.mark.parametrize(
    "metric",
    [
        "traces_spanmetrics_calls_total",
        "traces_spanmetrics_latency_count",
        'traces_spanmetrics_latency_bucket{le="+Inf"}',
        "traces_span_metrics_calls_total",
        "traces_span_metrics_duration_milliseconds_count",
        'traces_span_metrics_duration_milliseconds_bucket{le="+Inf"}',
    ],
)
def test_the_sum_over_all_series_is_the_spans_sent(
    replayed: Chain, sent: Sent, metric: str, form: str
) -> None:
    sums = replayed.prometheus.by("form", f"sum by (form) ({metric})")
    assert sums[form] == sent.spans


@pytest.mark.parametrize("form", SCRAPE_FORMS)
def test_each_label_set_has_its_own_calls(replayed: Chain, sent: Sent, form: str) -> None:
    calls = replayed.prometheus.query(
        "sum by (service, span_name, span_kind, status_code)"
        f' (traces_spanmetrics_calls_total{{form="{form}"}})'
    )
    assert calls == sent.calls


def test_the_dialects_agree_on_every_label_set(replayed: Chain) -> None:
    renamed = (
        'label_replace(traces_span_metrics_calls_total, "service", "$1", "service_name", "(.*)")'
    )
    by = "sum by (form, service, span_name, span_kind, status_code, http_route)"
    otel = replayed.prometheus.query(f"{by} ({renamed})")
    assert otel == replayed.prometheus.query(f"{by} (traces_spanmetrics_calls_total)")


@pytest.mark.parametrize("form", SCRAPE_FORMS)
def test_every_promised_name_is_there(replayed: Chain, form: str) -> None:
    derived = SPAN_METRICS | TARGETS | SERVICE_GRAPH | PERCENTILES
    promised = derived | BOOKS | HEALTH
    assert promised - replayed.prometheus.metric_names(f'{{form="{form}"}}') == set()


def test_the_protobuf_form_has_native_histograms(replayed: Chain, sent: Sent) -> None:
    prometheus = replayed.prometheus
    assert prometheus.scalar("histogram_count(sum(traces_spanmetrics_latency))") == sent.spans
    total = prometheus.scalar("histogram_sum(sum(traces_spanmetrics_latency))")
    assert total == pytest.approx(float(sent.seconds.sum()), rel=1e-9)
    assert set(prometheus.by("form", "count by (form) (traces_spanmetrics_latency)")) == {
        "protobuf"
    }


@pytest.mark.parametrize("quantile", QUANTILES)
def test_native_and_classic_quantiles_agree(replayed: Chain, quantile: float) -> None:
    prometheus = replayed.prometheus
    buckets = 'sum by (service, le) (traces_spanmetrics_latency_bucket{form="protobuf"})'
    histograms = "sum by (service) (traces_spanmetrics_latency)"
    classic = prometheus.by("service", f"histogram_quantile({quantile}, {buckets})")
    native = prometheus.by("service", f"histogram_quantile({quantile}, {histograms})")
    bounds = sorted(float(le) for le in prometheus.by("le", f"group by (le) ({buckets})"))
    assert classic.keys() == native.keys()
    assert classic
    for service, value in classic.items():
        width = width_of_bucket(bounds, value)
        assert abs(native[service] - value) <= width, (service, native[service], value)


def width_of_bucket(bounds: list[float], value: float) -> float:
    """How wide the classic bucket that `value` was interpolated in is.

    Prometheus answers with the highest finite bound for what lies above it.
    """
    upper = bisect_left(bounds, value)
    if value == bounds[-2]:
        return math.inf
    return bounds[upper] - (bounds[upper - 1] if upper else 0.0)


@pytest.mark.parametrize("quantile", QUANTILES)
def test_native_quantiles_are_those_of_the_spans(
    replayed: Chain, sent: Sent, quantile: float
) -> None:
    histogram = "sum(traces_spanmetrics_latency)"
    native = replayed.prometheus.scalar(f"histogram_quantile({quantile}, {histogram})")
    exact = float(np.quantile(sent.seconds, quantile, method="inverted_cdf"))
    assert native == pytest.approx(exact, rel=COARSEST_BUCKET)


def test_the_books_balance(replayed: Chain, sent: Sent) -> None:
    # One query: its samples are of one scrape.
    samples = replayed.prometheus.query('{__name__=~"spanmill_(spans|export)_.*",form="text"}')

    def books(name: str, label: str, **labels: str) -> dict[str, float]:
        wanted = {("__name__", name), *labels.items()}
        return {dict(of)[label]: n for of, n in samples.items() if wanted <= set(of)}

    assert books("spanmill_spans_received_total", "outcome") == {
        "accepted": sent.spans,
        "invalid": 1,
        "refused": 0,
        "duplicate": 0,
    }
    assert books("spanmill_spans_accepted_total", "outcome") == {
        "counted_own": sent.spans,
        "counted_overflow": 0,
        "filtered": 0,
    }
    queued = books("spanmill_export_queued_spans", "exporter")
    assert queued.keys() == {"tempo", "jaeger"}
    for exporter, spans in queued.items():
        outcomes = books("spanmill_export_spans_total", "outcome", exporter=exporter)
        assert sum(outcomes.values()) + spans == sent.spans, exporter
    jaeger = books("spanmill_export_spans_total", "outcome", exporter="jaeger")
    assert jaeger["delivered"] == sent.spans


def test_every_service_is_found_in_jaeger(replayed: Chain, sent: Sent) -> None:
    assert {dict(labels)["service"] for labels in sent.calls} <= replayed.jaeger.services()


def test_the_monitor_tab_of_jaeger_shows_request_rates(replayed: Chain) -> None:
    def shown() -> bool:
        points = [
            point["gaugeValue"]["doubleValue"]
            for series in replayed.jaeger.call_rates("frontend")
            for point in series["metricPoints"]
        ]
        return any(value not in {"NaN", 0} for value in points)

    wait_until(shown, ARRIVAL_DEADLINE, "the request rate of the service `frontend` is over 0")


def test_nothing_of_the_scrape_is_refused(replayed: Chain) -> None:
    assert replayed.prometheus.failed_scrapes() == []
