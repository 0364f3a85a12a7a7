"""A service graph under test, and the spans that it is given."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from processors.service_graph.plain_join import CLIENT, NAMES, Delivery, Edge, Graph
from spanmill.clock import SystemClock
from spanmill.processors.service_graph import ServiceGraph, ServiceGraphSettings
from spanmill.series.registry import Registry
from spanmill.series.snapshot import FamilySnapshot, Histograms, Values
from spanmill.spans.batch import SpanBatch
from spanmill.spans.reference import ReferenceDecoder
from spanmill.telemetry import Telemetry

SECOND = 1_000_000_000
START = 10**18
WAIT_NS = 30 * SECOND
SETTINGS = ServiceGraphSettings(
    wait_ns=WAIT_NS,
    max_pending=100_000,
    max_series=5_000,
    idle_timeout_ns=900 * SECOND,
    user_root=True,
    peer_attributes=NAMES,
    buckets_ns=(100_000_000, 200_000_000),
)


def span(
    number: int,
    kind: int = CLIENT,
    *,
    parent: int = 0,
    trace: int = 1,
    failed: bool = False,
    duration: int = 5_000_000,
    links: Iterable[tuple[int, int]] = (),
    attributes: Mapping[str, str] = MappingProxyType({}),
) -> Span:
    """A span by small numbers; a link is (trace, number)."""
    made = Span(
        trace_id=trace.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        kind=kind,  # type: ignore[arg-type]  # any number is an enum's on the wire
        start_time_unix_nano=START,
        end_time_unix_nano=START + duration,
    )
    made.status.code = 2 if failed else 0  # type: ignore[assignment]  # the enum's number
    for key, value in attributes.items():
        made.attributes.add(key=key).value.string_value = value
    for linked_trace, linked_number in links:
        made.links.add(
            trace_id=linked_trace.to_bytes(16, "big"), span_id=linked_number.to_bytes(8, "big")
        )
    return made


def request(spans: Iterable[tuple[str, Span]]) -> bytes:
    """A request with these spans, in this order, each with its service."""
    message = ExportTraceServiceRequest()
    for service, one in spans:
        resource_spans = message.resource_spans.add()
        resource_spans.resource.attributes.add(key="service.name").value.string_value = service
        resource_spans.scope_spans.add().spans.append(one)
    return message.SerializeToString()


class Observed:
    """A service graph, what it was given, and what it shows; times are seconds after START."""

    def __init__(self, **settings: Any) -> None:
        self.registry = Registry(SystemClock())
        self.processor = ServiceGraph(
            dataclasses.replace(SETTINGS, **settings), self.registry, Telemetry(self.registry)
        )
        self._decoder = ReferenceDecoder(self.processor.attributes)

    def observe(self, *spans: tuple[str, Span], at: float = 0, weight: float = 1) -> Observed:
        batch = self.decode(request(spans))
        weights = np.full(len(batch), float(weight))
        return self.observe_batch(dataclasses.replace(batch, weight=weights), at)

    def decode(self, body: bytes) -> SpanBatch:
        return self._decoder.decode(body).batch

    def decode_one(self, service: str, one: Span) -> SpanBatch:
        return self.decode(request([(service, one)])).arrived(START)

    def observe_batch(self, batch: SpanBatch, at: float = 0) -> Observed:
        self.processor.observe(batch.arrived(START + round(at * SECOND)))
        return self

    def deliver(self, deliveries: Sequence[Delivery]) -> Observed:
        """Spans that arrive at the same time come in one request."""
        requests = defaultdict(list)
        for arrival, service, one in deliveries:
            requests[arrival].append((service, one))
        for arrival, spans in requests.items():
            self.observe(*spans, at=(arrival - START) / SECOND)
        return self

    def tick(self, at: float) -> Observed:
        self.processor.tick(START + round(at * SECOND))
        return self

    def family(self, name: str) -> FamilySnapshot | None:
        return next((f for f in self.registry.snapshot() if f.family.name == name), None)

    def values(self, name: str) -> Mapping[tuple[tuple[str, str], ...], float]:
        family = self.family(name)
        if family is None:
            return {}
        assert isinstance(family.data, Values)
        return dict(zip(family.label_pairs(), family.data.values.tolist(), strict=True))

    def requests(self) -> dict[tuple[str, str, str], float]:
        """The number of requests of each edge: client, server, type of connection."""
        found = self.values("traces_service_graph_request_total")
        return {_edge(dict(labels)): value for labels, value in found.items()}

    def failed(self) -> dict[tuple[str, str, str], float]:
        found = self.values("traces_service_graph_request_failed_total")
        return {_edge(dict(labels)): value for labels, value in found.items() if value}

    def seconds(self, side: str) -> dict[tuple[str, str, str], tuple[float, float]]:
        """The number and the sum of the durations on one side of each edge."""
        family = self.family(f"traces_service_graph_request_{side}_seconds")
        if family is None:
            return {}
        data = family.data
        assert isinstance(data, Histograms)
        edges = [_edge(dict(labels)) for labels in family.label_pairs()]
        figures = zip(data.counts.tolist(), data.sums.tolist(), strict=True)
        return dict(zip(edges, figures, strict=True))

    def unpaired(self) -> dict[str, float]:
        found = self.values("spanmill_service_graph_unpaired_spans_total")
        return {labels[0][1]: value for labels, value in found.items() if value}


def _edge(labels: Mapping[str, str]) -> tuple[str, str, str]:
    return labels["client"], labels["server"], labels.get("connection_type", "")


def assert_same(observed: Observed, expected: Graph) -> None:
    """Every label set, count and sum is the same."""
    edges: Mapping[tuple[str, str, str], Edge] = expected.edges
    assert observed.requests() == {key: edge.requests for key, edge in edges.items()}
    assert observed.failed() == {key: edge.failed for key, edge in edges.items() if edge.failed}
    for side in ("client", "server"):
        sums = {key: getattr(edge, f"{side}_ns") for key, edge in edges.items()}
        assert observed.seconds(side) == {
            key: (len(durations), sum(durations) / 1e9) for key, durations in sums.items()
        }
    assert observed.unpaired() == {reason: n for reason, n in expected.unpaired.items() if n}
