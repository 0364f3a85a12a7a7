"""OTLP's JSON encoding of a request of metrics, made protobuf once, at reception."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from google.protobuf.message import Message
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, Sum

from spanmill.errors import TooManyMessagesError
from spanmill.points.json_points import (
    exponential_point,
    histogram_point,
    number_point,
    summary_point,
)
from spanmill.points.json_schema import (
    JsonData,
    JsonExponentialPoint,
    JsonHistogramPoint,
    JsonMetric,
    JsonMetricsRequest,
    JsonNumberPoint,
    JsonSummaryPoint,
)
from spanmill.points.wire import MAX_MESSAGES
from spanmill.spans.json_attributes import fill, fill_pair
from spanmill.spans.json_fields import INT32, FieldError, integer
from spanmill.spans.json_request import JsonForm, convert, framed

_METRIC: Final = msgspec.json.Decoder(JsonMetric)
_POINT_TAG: Final = b"\x0a"

J = TypeVar("J")


def json_to_protobuf(body: bytes) -> bytes:
    """The same `ExportMetricsServiceRequest` in protobuf; equal bodies give equal bytes.

    Ids of exemplars may have any length, but must be hexadecimal. Raises as `convert` does.
    """
    return convert(body, _FORM)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One of the kinds of data: its field in a metric, and how its points are read.

    A temporality or `isMonotonic` where the kind has none is an unknown field: ignored.
    """

    name: str
    tag: bytes
    point: Callable[[msgspec.Raw], bytes]
    has_temporality: bool = False
    has_monotonic: bool = False


def _reader(schema: type[J], point: Callable[[J], Message]) -> Callable[[msgspec.Raw], bytes]:
    decode = msgspec.json.Decoder(schema).decode
    return lambda raw: point(decode(raw)).SerializeToString(deterministic=True)


_KINDS: Final = {
    "gauge": _Kind("gauge", b"\x2a", _reader(JsonNumberPoint, number_point)),
    "sum": _Kind("sum", b"\x3a", _reader(JsonNumberPoint, number_point), True, True),
    "histogram": _Kind("histogram", b"\x4a", _reader(JsonHistogramPoint, histogram_point), True),
    "exponential_histogram": _Kind(
        "exponentialHistogram", b"\x52", _reader(JsonExponentialPoint, exponential_point), True
    ),
    "summary": _Kind("summary", b"\x5a", _reader(JsonSummaryPoint, summary_point)),
}


def _metric_bytes(raw: msgspec.Raw) -> bytes:
    source = _METRIC.decode(raw)
    head = Metric(
        name=source.name or "", description=source.description or "", unit=source.unit or ""
    )
    content = bytearray(head.SerializeToString())
    given = [name for name in _KINDS if getattr(source, name) is not None]
    if len(given) > 1:
        raise FieldError(f"the metric has several kinds: {', '.join(given)}")
    for name in given:
        kind = _KINDS[name]
        try:
            content += framed(kind.tag, _data_content(getattr(source, name), kind))
        except FieldError as error:
            raise error.under(kind.name) from error
    tail = Metric()
    fill(tail.metadata, source.metadata, "metadata", fill_pair)
    content += tail.SerializeToString(deterministic=True)
    return bytes(content)


def _data_content(source: JsonData, kind: _Kind) -> bytearray:
    points = source.data_points or ()
    if len(points) > MAX_MESSAGES:
        raise TooManyMessagesError(MAX_MESSAGES, "points")
    content = bytearray()
    for row, raw in enumerate(points):
        try:
            content += framed(_POINT_TAG, kind.point(raw))
        except FieldError as error:
            raise error.under(f"dataPoints[{row}]") from error
        except msgspec.ValidationError as error:
            raise FieldError(str(error), f"dataPoints[{row}]") from error
    # A histogram has its temporality under the same number.
    tail = Sum()
    if kind.has_temporality:
        temporality = integer(source.aggregation_temporality, "aggregationTemporality", INT32)
        tail.aggregation_temporality = temporality  # type: ignore[assignment]  # an open enum
    if kind.has_monotonic:
        tail.is_monotonic = bool(source.is_monotonic)
    content += tail.SerializeToString()
    return content


_FORM: Final = JsonForm(
    decode=msgspec.json.Decoder(JsonMetricsRequest).decode,
    item=_metric_bytes,
    resources="resourceMetrics",
    scopes="scopeMetrics",
    items="metrics",
)
