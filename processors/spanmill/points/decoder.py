"""Data points out of the bytes of a request, by way of the protobuf library's objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from spanmill.errors import UndecodableError
from spanmill.points.batch import ExponentialPoint, PointBatch
from spanmill.points.exponential import LOWEST_SCHEMA
from spanmill.points.reading import Reading
from spanmill.points.splice import cut_points
from spanmill.points.wire import check_size

POINT_REJECTION_REASONS: Final[Mapping[str, str]] = {
    "no_name": "a metric must have a name",
    "no_temporality": "the temporality of a sum or histogram must be delta or cumulative",
    "no_value": "a number must have a value unless it is flagged as not recorded",
    "invalid_sum": "a monotonic sum must not be negative, and neither it nor a delta, nor the sum "
    "of a delta histogram, infinite or NaN",
    "invalid_bounds": "the bounds of a histogram must be finite and ascending, and its buckets "
    "one more than its bounds",
    "invalid_counts": "the buckets of a histogram must sum to its count",
    "invalid_scale": "an exponential histogram must have a scale of -10 or more, a zero threshold "
    "of 0 or more and buckets inside the range of a double",
    "too_many_buckets": "a histogram must not have more than 16384 buckets on a side",
    "invalid_quantiles": "the quantiles of a summary must be between 0 and 1, each once",
}
"""Why a point is rejected alone: the reason as metrics name it, and as clients are told."""


@dataclass(frozen=True, slots=True)
class DecodedMetrics:
    """The accepted points of a request, and how many were rejected for which reason.

    The reasons are keys of POINT_REJECTION_REASONS.
    """

    batch: PointBatch
    rejected: Mapping[str, int]

    @property
    def rejected_points(self) -> int:
        """How many points were rejected in all."""
        return sum(self.rejected.values())


def decode_metrics(body: bytes) -> DecodedMetrics:
    """Decode a serialised `ExportMetricsServiceRequest`; safe to call from many threads.

    Accepts what the protobuf library accepts, then rejects single points that have no meaning;
    their bytes are cut out of the batch's payload. Raises UndecodableError where the library
    refuses the body, TooManyMessagesError where its objects would take too much memory.
    """
    try:
        check_size(body)
        request = ExportMetricsServiceRequest.FromString(body)
    except (UndecodableError, DecodeError, RecursionError) as error:
        raise UndecodableError(
            f"the body is not an ExportMetricsServiceRequest in protobuf: {error}"
        ) from error
    reading = Reading()
    for resource_metrics in request.resource_metrics:
        reading.read_resource(resource_metrics)
    del request
    payload = cut_points(body, reading.rejected) if reading.rejected else body
    return DecodedMetrics(PointBatch(payload, reading.metrics), reading.reasons)


def point_warnings(batch: PointBatch) -> list[str]:
    """What a client should know of points that were taken all the same."""
    untimed = sum(not point.time for metric in batch.metrics for point in metric.points)
    coarse = sum(
        isinstance(point, ExponentialPoint) and point.scale < LOWEST_SCHEMA
        for metric in batch.metrics
        if metric.type == "exponential_histogram"
        for point in metric.points
    )
    warnings: list[str] = []
    if untimed:
        warnings.append(f"points without a time count as of their arrival: {untimed}")
    if coarse:
        warnings.append(
            f"exponential histograms below scale {LOWEST_SCHEMA} can't be shown to Prometheus: "
            f"{coarse}"
        )
    return warnings
