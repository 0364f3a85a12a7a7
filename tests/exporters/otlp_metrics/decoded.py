"""Pushed requests as the protobuf library reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Pushed:
    """One point, with what stands around it."""

    resource: Pairs
    metric: Metric
    kind: str
    attributes: Pairs
    point: Any

    @property
    def name(self) -> str:
        return self.metric.name

    @property
    def identity(self) -> tuple[str, Pairs]:
        return self.metric.name, self.attributes

    @property
    def gone(self) -> bool:
        return bool(self.point.flags & 1)


def pushed_points(payloads: Iterable[bytes]) -> Iterator[Pushed]:
    for payload in payloads:
        for of_resource in ExportMetricsServiceRequest.FromString(payload).resource_metrics:
            resource = pairs(of_resource.resource.attributes)
            for of_scope in of_resource.scope_metrics:
                for metric in of_scope.metrics:
                    kind = str(metric.WhichOneof("data"))
                    for point in getattr(metric, kind).data_points:
                        yield Pushed(resource, metric, kind, pairs(point.attributes), point)


def pairs(attributes: Iterable[KeyValue]) -> Pairs:
    return tuple(sorted((each.key, each.value.string_value) for each in attributes))
