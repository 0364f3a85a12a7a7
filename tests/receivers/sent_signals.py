"""The signals that tests send: each case that promises the same for both runs with both."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from points import otlp_metrics
from receivers import otlp_requests
from spanmill.points.decoder import POINT_REJECTION_REASONS
from spans.generated import field

_ID_FIELDS = ("traceId", "spanId", "parentSpanId")


@dataclass(frozen=True)
class SentSignal:
    """One signal as clients send it.

    `good` makes a serialised request of so many items that is taken whole, with `GET /` as a
    name in it; `in_item` one with a valid item that has these bytes too, among them `attributes`
    by this field number. `labelled` has the texts `a name`, `a key` and `a value`. `rejected` has
    two good items and three bad ones, of which a client is told `reasons`.
    """

    name: str
    path: str
    method: str
    request: type[Message]
    response: type[Message]
    rejected_field: str
    rejected_json: str
    good: Callable[[int], bytes]
    in_item: Callable[[bytes], bytes]
    attributes: int
    labelled: bytes
    rejected: bytes
    reasons: str

    def to_json(self, body: bytes) -> bytes:
        """The same request in OTLP's JSON: ids in hex, enums as numbers."""
        document = json_format.MessageToDict(
            self.request.FromString(body), use_integers_for_enums=True
        )
        return json.dumps(_with_hex_ids(document)).encode()

    def partial_success(self, response: bytes) -> tuple[int, str]:
        """How many items were rejected, and why, as the response message has it."""
        partial: Any = self.response.FromString(response)
        said = partial.partial_success
        return getattr(said, self.rejected_field), said.error_message

    def partial_success_in_json(self, response: bytes) -> tuple[int, str]:
        """The same of a response in JSON."""
        document = json.loads(response)
        if not document:
            return 0, ""
        partial = document["partialSuccess"]
        assert isinstance(partial[self.rejected_json], str), "64-bit integers are strings"
        return int(partial[self.rejected_json]), partial["errorMessage"]


def _with_hex_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_hex_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: base64.b64decode(value).hex() if key in _ID_FIELDS else _with_hex_ids(value)
        for key, value in node.items()
    }


def _in_span(content: bytes) -> bytes:
    return field(1, field(2, field(2, otlp_requests.span().SerializeToString() + content)))


def _in_point(content: bytes) -> bytes:
    point = otlp_metrics.number(1).SerializeToString() + content
    return field(1, field(2, field(2, field(1, b"GET /") + field(5, field(1, point)))))


def _points(count: int) -> bytes:
    metric = otlp_metrics.gauge(*(otlp_metrics.number(n) for n in range(count)), name="GET /")
    return otlp_metrics.request(metric)


TRACES = SentSignal(
    name="traces",
    path="/v1/traces",
    method="/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    request=ExportTraceServiceRequest,
    response=ExportTraceServiceResponse,
    rejected_field="rejected_spans",
    rejected_json="rejectedSpans",
    good=otlp_requests.good_body,
    in_item=_in_span,
    attributes=9,
    labelled=otlp_requests.request(
        otlp_requests.span("a name", attributes=otlp_metrics.pairs({"a key": "a value"}))
    ).SerializeToString(),
    rejected=otlp_requests.request(
        otlp_requests.span("good", 1),
        otlp_requests.span("bad", 2, trace_id=b"short"),
        otlp_requests.span("bad", 3, trace_id=bytes(16)),
        otlp_requests.span("bad", 4, span_id=bytes(8)),
        otlp_requests.span("good", 5),
    ).SerializeToString(),
    reasons="2 spans rejected: the trace id must be 16 bytes, not all zero; "
    "1 span rejected: the span id must be 8 bytes, not all zero",
)

METRICS = SentSignal(
    name="metrics",
    path="/v1/metrics",
    method="/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    request=ExportMetricsServiceRequest,
    response=ExportMetricsServiceResponse,
    rejected_field="rejected_data_points",
    rejected_json="rejectedDataPoints",
    good=_points,
    in_item=_in_point,
    attributes=7,
    labelled=otlp_metrics.request(
        otlp_metrics.gauge(otlp_metrics.number(1, attributes={"a key": "a value"}), name="a name")
    ),
    rejected=otlp_metrics.request(
        otlp_metrics.counter(
            otlp_metrics.number(1),
            otlp_metrics.number(2),
            temporality=pb.AGGREGATION_TEMPORALITY_UNSPECIFIED,
        ),
        otlp_metrics.gauge(
            otlp_metrics.number(1), otlp_metrics.number(None), otlp_metrics.number(2)
        ),
    ),
    reasons=f"2 data points rejected: {POINT_REJECTION_REASONS['no_temporality']}; "
    f"1 data point rejected: {POINT_REJECTION_REASONS['no_value']}",
)

BOTH_SIGNALS = pytest.mark.parametrize("signal", [TRACES, METRICS], ids=lambda sent: sent.name)
METRICS_ONLY = pytest.mark.parametrize("signal", [METRICS], ids=lambda sent: sent.name)
