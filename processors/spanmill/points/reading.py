"""The protobuf library's metrics as points, and which of them have no meaning."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from spanmill.points.attributes import attribute_key
from spanmill.points.batch import (
    Attributes,
    Metric,
    MetricScope,
    MetricType,
    Point,
    Temporality,
)
from spanmill.points.distributions import (
    read_exponential,
    read_exponential_change,
    read_histogram,
    read_histogram_change,
    read_summary,
)
from spanmill.points.numbers import read_change, read_counter, read_number

_TEMPORALITIES: Final[Mapping[int, Temporality]] = {
    pb.AGGREGATION_TEMPORALITY_DELTA: "delta",
    pb.AGGREGATION_TEMPORALITY_CUMULATIVE: "cumulative",
}
# Each reads a point of the library's, or says why it has no meaning.
_READERS: Final[Mapping[MetricType, Callable[[Any], Point | str]]] = {
    "gauge": read_number,
    "sum": read_number,
    "histogram": read_histogram,
    "exponential_histogram": read_exponential,
    "summary": read_summary,
}
_CHANGE_READERS: Final[Mapping[MetricType, Callable[[Any], Point | str]]] = {
    "sum": read_change,
    "histogram": read_histogram_change,
    "exponential_histogram": read_exponential_change,
}


class Reading:
    """The points of one request while they are read.

    `rejected` has the numbers of the rejected points, counted over the request, ascending;
    `reasons` how many were rejected for which reason.
    """

    def __init__(self) -> None:
        self.metrics: list[Metric] = []
        self.rejected = array("I")
        self.reasons: dict[str, int] = {}
        self._seen = 0

    def read_resource(self, resource_metrics: pb.ResourceMetrics) -> None:
        """Append the metrics of one resource."""
        resource = attribute_key(resource_metrics.resource.attributes)
        for scope_metrics in resource_metrics.scope_metrics:
            scope = _scope(scope_metrics.scope, scope_metrics.schema_url)
            for metric in scope_metrics.metrics:
                self._read_metric(resource, scope, metric)

    def _read_metric(self, resource: Attributes, scope: MetricScope, metric: pb.Metric) -> None:
        kind: MetricType | None = metric.WhichOneof("data")
        if kind is None:
            return
        data = getattr(metric, kind)
        read = _READERS[kind]
        temporality: Temporality = ""
        monotonic = False
        if kind not in ("gauge", "summary"):
            temporality = _TEMPORALITIES.get(data.aggregation_temporality, "")
            if not temporality:
                self._reject_all(len(data.data_points), "no_temporality")
                return
        if temporality == "delta":
            read = _CHANGE_READERS[kind]
        if kind == "sum":
            monotonic = data.is_monotonic
            if monotonic:
                read = read_counter
        name = metric.name
        if not name:
            self._reject_all(len(data.data_points), "no_name")
            return
        points = self._read_points(data.data_points, read)
        if points:
            self.metrics.append(
                Metric(
                    *(resource, scope, name, metric.unit, metric.description),
                    *(kind, temporality, monotonic, points, attribute_key(metric.metadata)),
                )
            )

    def _read_points(
        self, data_points: Iterable[Any], read: Callable[[Any], Point | str]
    ) -> list[Point]:
        points: list[Point] = []
        number = self._seen
        for data_point in data_points:
            point = read(data_point)
            if isinstance(point, str):
                self._reject(number, point)
            else:
                points.append(point)
            number += 1
        self._seen = number
        return points

    def _reject_all(self, count: int, reason: str) -> None:
        for number in range(self._seen, self._seen + count):
            self._reject(number, reason)
        self._seen += count

    def _reject(self, number: int, reason: str) -> None:
        self.rejected.append(number)
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


def _scope(scope: InstrumentationScope, schema_url: str) -> MetricScope:
    return MetricScope(scope.name, scope.version, attribute_key(scope.attributes), schema_url)
