"""Serialised requests of spans and of points, made small or large on purpose."""

from __future__ import annotations

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Flat = list[tuple[bytes, bytes, bytes]]


def request_of(
    *names: str, service: str = "shop", padding: int = 0, spans_per_scope: int = 1000
) -> bytes:
    """A request with a span for each name; `padding` bytes of trace state make each larger."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    for number, name in enumerate(names):
        if number % spans_per_scope == 0:
            scope = resource.scope_spans.add()
        span = scope.spans.add(name=name, kind=2, start_time_unix_nano=1, end_time_unix_nano=2)
        span.trace_id = (number + 1).to_bytes(16, "big")
        span.span_id = (number + 1).to_bytes(8, "big")
        span.trace_state = "x" * padding
    return request.SerializeToString()


def metrics_of(
    *names: str, service: str = "shop", padding: int = 0, points_per_metric: int = 1000
) -> bytes:
    """A request with a point for each name, an attribute; `padding` bytes make each larger."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    scope = resource.scope_metrics.add()
    for number, name in enumerate(names):
        if number % points_per_metric == 0:
            metric = scope.metrics.add(name=f"metric_{number}", unit="By")
        point = metric.gauge.data_points.add(as_int=number, time_unix_nano=1)
        point.attributes.add(key="name").value.string_value = name
        point.attributes.add(key="padding").value.string_value = "x" * padding
    return request.SerializeToString()


def points_in(payload: bytes) -> list[str]:
    """The names of the points of `metrics_of`."""
    request = ExportMetricsServiceRequest.FromString(payload)
    return [
        point.attributes[0].value.string_value
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.gauge.data_points
    ]


def names_in(payload: bytes) -> list[str]:
    request = ExportTraceServiceRequest.FromString(payload)
    return [s.name for r in request.resource_spans for sc in r.scope_spans for s in sc.spans]


def flatten(payload: bytes) -> Flat:
    """Resource, scope and span of each span, as bytes: equal where only the grouping differs."""
    request = ExportTraceServiceRequest.FromString(payload)
    return [
        (r.resource.SerializeToString(), s.scope.SerializeToString(), span.SerializeToString())
        for r in request.resource_spans
        for s in r.scope_spans
        for span in s.spans
    ]


def flatten_metrics(payload: bytes) -> list[tuple[bytes, ...]]:
    """The same for each point, with what its metric says beside it."""
    request = ExportMetricsServiceRequest.FromString(payload)
    found: list[tuple[bytes, ...]] = []
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                data = getattr(metric, str(metric.WhichOneof("data")))
                points = [point.SerializeToString() for point in data.data_points]
                del data.data_points[:]
                around = (resource.resource, scope.scope, metric)
                enclosure = tuple(message.SerializeToString() for message in around)
                found += ((*enclosure, point) for point in points)
    return found
