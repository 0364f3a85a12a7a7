"""One reading of the processor's metrics page: what anybody who scrapes it sees."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

CALLS = "traces_spanmetrics_calls_total"
LATENCY_BUCKET = "traces_spanmetrics_latency_bucket"
REQUESTS = "traces_service_graph_request_total"
REQUESTS_FAILED = "traces_service_graph_request_failed_total"
REQUEST_BUCKET = "traces_service_graph_request_server_seconds_bucket"
SERIES = "spanmill_series"

_WANTED = (CALLS, LATENCY_BUCKET, REQUESTS, REQUESTS_FAILED, REQUEST_BUCKET, SERIES)
_TEXT = "text/plain;version=0.0.4"
_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True, slots=True, order=True)
class Operation:
    """What a row is about: the spans of one service, name and kind (`SPAN_KIND_SERVER`)."""

    service: str
    span_name: str
    span_kind: str


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """Who calls whom; `connection_type` as in the service graph, empty between two services."""

    client: str
    server: str
    connection_type: str


@dataclass(slots=True)
class Totals:
    """Counts since the processor's start, of spans or of requests.

    `buckets` maps an upper bound in seconds to the number of those at or below it.
    """

    calls: float = 0.0
    errors: float = 0.0
    buckets: dict[float, float] = field(default_factory=lambda: defaultdict(float))


@dataclass(frozen=True, slots=True)
class Scrape:
    """All operations and edges at one moment; `at` is in seconds of a monotonic clock.

    `series` is the number of label sets that the processor holds.
    """

    at: float
    operations: Mapping[Operation, Totals]
    series: int
    edges: Mapping[Edge, Totals] = field(default_factory=dict)

    @property
    def calls(self) -> float:
        """Spans counted since the start."""
        return sum(totals.calls for totals in self.operations.values())

    @property
    def errors(self) -> float:
        """Spans with the status error since the start."""
        return sum(totals.errors for totals in self.operations.values())


def read(url: str, at: float) -> Scrape | None:
    """Scrape the metrics page; None if it does not answer."""
    try:
        # Loopback without TLS: loading the certificates for it would cost ten times the rest.
        response = httpx.get(
            url, headers={"accept": _TEXT}, timeout=_TIMEOUT, trust_env=False, verify=False
        )
    except httpx.TransportError:
        return None
    return parse(response.text, at) if response.status_code == 200 else None


def parse(text: str, at: float) -> Scrape:
    """Read the text format 0.0.4. ValueError if it is not that."""
    operations: dict[Operation, Totals] = defaultdict(Totals)
    edges: dict[Edge, Totals] = defaultdict(Totals)
    counted_series = 0
    told_series: float | None = None
    # Only the lines in question: the parser is slow, and a page may hold a great many others.
    wanted = "\n".join(line for line in text.split("\n") if line.startswith(_WANTED))
    for family in text_string_to_metric_families(wanted):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == CALLS:
                counted_series += 1
                totals = operations[_operation(labels)]
                totals.calls += sample.value
                if labels.get("status_code") == "STATUS_CODE_ERROR":
                    totals.errors += sample.value
            elif sample.name == LATENCY_BUCKET:
                operations[_operation(labels)].buckets[_bound(labels)] += sample.value
            elif sample.name == REQUESTS:
                edges[_edge(labels)].calls += sample.value
            elif sample.name == REQUESTS_FAILED:
                edges[_edge(labels)].errors += sample.value
            elif sample.name == REQUEST_BUCKET:
                edges[_edge(labels)].buckets[_bound(labels)] += sample.value
            elif sample.name == SERIES:
                told_series = (told_series or 0.0) + sample.value
    series = counted_series if told_series is None else int(told_series)
    return Scrape(at, dict(operations), series, dict(edges))


def _operation(labels: Mapping[str, str]) -> Operation:
    return Operation(
        labels.get("service", ""), labels.get("span_name", ""), labels.get("span_kind", "")
    )


def _edge(labels: Mapping[str, str]) -> Edge:
    return Edge(
        labels.get("client", ""), labels.get("server", ""), labels.get("connection_type", "")
    )


def _bound(labels: Mapping[str, str]) -> float:
    return math.inf if labels["le"] == "+Inf" else float(labels["le"])
