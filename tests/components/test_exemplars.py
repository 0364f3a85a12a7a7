"""Exemplars of replayed real spans, asked for in a real Prometheus: each leads to its span."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from components.process import Processes, free_ports, wait_until
from components.processor import start_spanmill
from components.prometheus import SCRAPE_FORMS, Prometheus, start_prometheus
from components.shipped import COLLECTOR_CONFIG

pytestmark = pytest.mark.components

ARRIVAL_DEADLINE = 60.0
FORMS = {form: SCRAPE_FORMS[form] for form in ("openmetrics", "protobuf")}
UNIT_NS = {
    "traces_spanmetrics_latency": 1e9,
    "traces_span_metrics_duration_milliseconds": 1e6,
}


@dataclass(frozen=True)
class Stored:
    """One exemplar as Prometheus answers it."""

    series: Mapping[str, str]
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Replayed:
    """A Prometheus that has scraped the spans, and their durations in ns by their hex ids."""

    prometheus: Prometheus
    durations: Mapping[tuple[str, str], int]
    services: Mapping[tuple[str, str], str]

    def exemplars(self, query: str) -> list[Stored]:
        """All exemplars of the series that `query` selects."""
        now = time.time()
        fields = {"query": query, "start": f"{now - 3600:.0f}", "end": f"{now + 3600:.0f}"}
        response = urllib3.request(
            "GET", f"{self.prometheus.url}/api/v1/query_exemplars", fields=fields, timeout=10.0
        )
        answer: Any = response.json()
        assert answer["status"] == "success", answer
        return [
            Stored(series["seriesLabels"], exemplar["labels"], float(exemplar["value"]))
            for series in answer["data"]
            for exemplar in series["exemplars"]
        ]


@pytest.fixture(scope="module")
def replayed(
    processes: Processes,
    tmp_path_factory: pytest.TempPathFactory,
    astronomy_requests: list[bytes],
) -> Replayed:
    durations, services = {}, {}
    for request in astronomy_requests:
        for resource_spans in ExportTraceServiceRequest.FromString(request).resource_spans:
            attributes = {a.key: a.value.string_value for a in resource_spans.resource.attributes}
            for span in (span for scope in resource_spans.scope_spans for span in scope.spans):
                key = (span.trace_id.hex(), span.span_id.hex())
                durations[key] = max(0, span.end_time_unix_nano - span.start_time_unix_nano)
                services[key] = attributes["service.name"]
    folder = tmp_path_factory.mktemp("spanmill")
    spanmill = start_spanmill(processes, folder, COLLECTOR_CONFIG / "spanmill-tap.yaml", {})
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("prometheus")
    prometheus = start_prometheus(processes, folder, [spanmill.scrape], port, FORMS)
    for request in astronomy_requests:  # as they are, where `spanmill replay` makes new ids
        send(spanmill.http, request)

    def all_scraped() -> bool:
        calls = prometheus.by("form", "sum by (form) (traces_spanmetrics_calls_total)")
        return all(calls.get(form, 0) >= len(durations) for form in FORMS)

    wait_until(all_scraped, ARRIVAL_DEADLINE, "Prometheus shows every span in both forms")
    return Replayed(prometheus, durations, services)


def send(http: str, request: bytes) -> None:
    response = urllib3.request(
        "POST",
        f"http://{http}/v1/traces",
        body=request,
        headers={"Content-Type": "application/x-protobuf"},
        timeout=30.0,
    )
    assert response.status == 200, response.data


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("family", UNIT_NS)
def test_each_exemplar_is_a_span_that_was_sent_in_the_bucket_of_its_duration(
    replayed: Replayed, family: str, form: str
) -> None:
    found = replayed.exemplars(f'{family}_bucket{{form="{form}"}}')
    assert found
    for exemplar in found:
        span = (exemplar.labels["trace_id"], exemplar.labels["span_id"])
        assert exemplar.value == replayed.durations[span] / UNIT_NS[family]
        assert exemplar.value <= float(exemplar.series["le"])
        service = exemplar.series.get("service") or exemplar.series["service_name"]
        assert service == replayed.services[span]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("family", UNIT_NS)
def test_each_populated_bucket_has_one(replayed: Replayed, family: str, form: str) -> None:
    buckets = replayed.prometheus.query(f'{family}_bucket{{form="{form}"}}')
    by_series: dict[frozenset[tuple[str, str]], dict[float, float]] = {}
    for labels, count in buckets.items():
        fields = dict(labels)
        bound = float(fields.pop("le"))
        by_series.setdefault(frozenset(fields.items()), {})[bound] = count
    populated = set()
    for series, counts in by_series.items():
        below = 0.0
        for bound, count in sorted(counts.items()):
            if count > below:
                populated.add((series, bound))
            below = count
    found = {
        (frozenset((k, v) for k, v in e.series.items() if k != "le"), float(e.series["le"]))
        for e in replayed.exemplars(f'{family}_bucket{{form="{form}"}}')
    }
    assert populated == found


def test_the_native_histogram_has_them_too(replayed: Replayed) -> None:
    found = replayed.exemplars('traces_spanmetrics_latency{form="protobuf"}')
    classic = replayed.exemplars('traces_spanmetrics_latency_bucket{form="protobuf"}')
    assert found
    assert {e.labels["span_id"] for e in found} <= {e.labels["span_id"] for e in classic}
    for exemplar in found:
        span = (exemplar.labels["trace_id"], exemplar.labels["span_id"])
        assert exemplar.value == replayed.durations[span] / 1e9
