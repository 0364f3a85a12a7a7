"""The recorded spans of the demo shop, and what a plain loop over them gives."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from components.prometheus import Labels

MILLISECOND = 1_000_000
TEMPO_BOUNDS = tuple(2**power * MILLISECOND for power in range(1, 15))
"""Bounds of `traces_spanmetrics_latency`, in nanoseconds."""
OTEL_BOUNDS = tuple(
    milliseconds * MILLISECOND
    for milliseconds in (
        *(2, 4, 6, 8, 10, 50, 100, 200, 400, 800),
        *(1000, 1400, 2000, 5000, 10000, 15000),
    )
)
"""Bounds of `traces_span_metrics_duration_milliseconds`, in nanoseconds."""
GRAPH_BOUNDS = TEMPO_BOUNDS
"""Bounds of `traces_service_graph_request_server_seconds`, in nanoseconds."""

USER = "user"
NATIVE_BUCKET = 2**0.25
"""160 buckets over the 26 octaves from 1 µs to 46 s are 4 for each: the widest in use."""
_ZERO_BUCKET = 1e-20
"""More nanoseconds than the bucket of zeros is wide (2^-128 s), and less than any duration."""
_ROUNDING = 1e-9


class ShopSpan(NamedTuple):
    """What the metrics say of a span."""

    service: str
    name: str
    kind: str
    status: str
    nanoseconds: int

    @property
    def failed(self) -> bool:
        return self.status == "STATUS_CODE_ERROR"


class Request(NamedTuple):
    """A request between two services, as its edge counts it."""

    client: str
    server: str
    connection_type: str
    failed: bool
    nanoseconds: int


@dataclass(frozen=True)
class Between:
    """A value that lies in an interval, both ends included."""

    low: float
    high: float


class Shop:
    """All spans, and the requests that a join of each span with its parent gives."""

    def __init__(self, requests: Iterable[bytes]) -> None:
        self.spans: list[ShopSpan] = []
        by_id: dict[tuple[bytes, bytes], ShopSpan] = {}
        parents: list[tuple[ShopSpan, bytes, bytes]] = []
        for request in requests:
            for resource_spans in ExportTraceServiceRequest.FromString(request).resource_spans:
                service = next(
                    attribute.value.string_value
                    for attribute in resource_spans.resource.attributes
                    if attribute.key == "service.name"
                )
                for scope_spans in resource_spans.scope_spans:
                    for span in scope_spans.spans:
                        seen = _seen(service, span)
                        self.spans.append(seen)
                        by_id[span.trace_id, span.span_id] = seen
                        parents.append((seen, span.trace_id, span.parent_span_id))
        joined = (
            _request(span, parent_id, by_id.get((trace_id, parent_id)))
            for span, trace_id, parent_id in parents
        )
        self.requests = [request for request in joined if request is not None]

    def calls(
        self, labels: Sequence[str], wanted: Callable[[ShopSpan], bool]
    ) -> Counter[tuple[str, ...]]:
        """How many of the wanted spans there are by the values of these fields."""
        return Counter(
            tuple(getattr(span, label) for label in labels) for span in self.spans if wanted(span)
        )

    def durations(
        self, labels: Sequence[str], wanted: Callable[[ShopSpan], bool]
    ) -> dict[tuple[str, ...], list[int]]:
        """The durations of the wanted spans, in nanoseconds, by the values of these fields."""
        found = defaultdict(list)
        for span in self.spans:
            if wanted(span):
                found[tuple(getattr(span, label) for label in labels)].append(span.nanoseconds)
        return dict(found)


def _seen(service: str, span: Span) -> ShopSpan:
    return ShopSpan(
        service,
        span.name,
        Span.SpanKind.Name(span.kind),
        Status.StatusCode.Name(span.status.code),
        max(0, span.end_time_unix_nano - span.start_time_unix_nano),
    )


def _request(span: ShopSpan, parent_id: bytes, parent: ShopSpan | None) -> Request | None:
    """The request that a span is the server of; the shop has no brokers and no links."""
    if span.kind != "SPAN_KIND_SERVER":
        return None
    if not any(parent_id):
        return Request(USER, span.service, "virtual_node", span.failed, span.nanoseconds)
    if parent is None or parent.kind != "SPAN_KIND_CLIENT":
        return None
    failed = span.failed or parent.failed
    return Request(parent.service, span.service, "", failed, span.nanoseconds)


def labels_of(**labels: str) -> Labels:
    """Labels in the form in which answers of Prometheus have them; empty ones are none."""
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def classic_quantile(quantile: float, nanoseconds: Sequence[int], bounds: Sequence[int]) -> Between:
    """What histogram_quantile() says of classic buckets, in nanoseconds.

    Where the rank falls on the border of two buckets, rounding decides which of them is meant:
    then both values are right. Source of the rule: Prometheus, Querying, histogram_quantile().
    """
    inside = Counter(bisect_left(bounds, each) for each in nanoseconds)
    reached = list(accumulate(inside[bucket] for bucket in range(len(bounds) + 1)))
    values = []
    for rank in _ranks(quantile, len(nanoseconds)):
        bucket = bisect_left(reached, rank)
        if bucket == len(bounds):
            values.append(float(bounds[-1]))
            continue
        lower = bounds[bucket - 1] if bucket else 0
        before = reached[bucket] - inside[bucket]
        share = (rank - before) / inside[bucket]
        values.append(lower + (bounds[bucket] - lower) * share)
    return Between(min(values) * (1 - _ROUNDING), max(values) * (1 + _ROUNDING))


def native_quantile(quantile: float, nanoseconds: Sequence[int]) -> Between:
    """Where histogram_quantile() of a native histogram lies: in the bucket of the exact one."""
    ordered = sorted(nanoseconds)
    found = [ordered[math.ceil(rank) - 1] for rank in _ranks(quantile, len(ordered))]
    return Between(min(found) / NATIVE_BUCKET, max(max(found) * NATIVE_BUCKET, _ZERO_BUCKET))


def _ranks(quantile: float, count: int) -> list[float]:
    """The rank of a quantile, rounded down and up by a hair."""
    rank = quantile * count
    return [rank * (1 - _ROUNDING), min(rank * (1 + _ROUNDING), count)]
