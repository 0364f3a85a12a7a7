"""Data points as they were sent: the one thing that service metrics read."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

MetricType = Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]
Temporality = Literal["", "delta", "cumulative"]

Attributes = tuple[str | bytes, ...]
"""Attributes as a key: key, value, key, value … in the order of the bytes.

A string value stands as it is; any other as its serialised `AnyValue`, so that 1, 1.0 and true
differ. `points.attributes.read_attributes` makes a mapping of it.
"""


class PointExemplar(NamedTuple):
    """An observation behind a point; ids are empty where it belongs to no trace."""

    attributes: Attributes
    time: int
    value: float
    trace_id: bytes
    span_id: bytes


class NumberPoint(NamedTuple):
    """A point of a gauge or a sum.

    A named tuple, as all points are: it is made for every point, at a third of the cost of a
    frozen dataclass. `start` and `time` are nanoseconds since the Unix epoch as received, 0 where
    the sender gave none. `recorded` is false for a point that only says that there is no value.
    """

    attributes: Attributes
    start: int
    time: int
    recorded: bool
    value: int | float
    exemplars: tuple[PointExemplar, ...]


class HistogramPoint(NamedTuple):
    """A point of an explicit histogram.

    `bounds` are finite and ascending; `counts` has one more element, or is empty (as `bounds`
    then is) where the sender keeps no buckets. `sum` is NaN where there is none.
    """

    attributes: Attributes
    start: int
    time: int
    recorded: bool
    total: int
    sum: float
    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    exemplars: tuple[PointExemplar, ...]


class Buckets(NamedTuple):
    """Populated exponential buckets in a row, the first and the last of them not 0.

    Bucket i of OpenTelemetry's data model covers (b^i, b^(i+1)] with b = 2^(2^-scale); `first`
    is the index of the first one.
    """

    first: int
    counts: tuple[int, ...]


NO_BUCKETS: Final = Buckets(0, ())


class ExponentialPoint(NamedTuple):
    """A point of an exponential histogram, at most MAX_BUCKETS buckets on either side of 0.

    `scale` is at most MAX_SCALE: finer ones were lowered. `sum` is NaN where there is none.
    """

    attributes: Attributes
    start: int
    time: int
    recorded: bool
    total: int
    sum: float
    scale: int
    zero_count: int
    zero_threshold: float
    positive: Buckets
    negative: Buckets
    exemplars: tuple[PointExemplar, ...]


class SummaryPoint(NamedTuple):
    """A point of a summary; `quantiles` are ascending, each once, `values` belong to them."""

    attributes: Attributes
    start: int
    time: int
    recorded: bool
    total: int
    sum: float
    quantiles: tuple[float, ...]
    values: tuple[float, ...]


Point = NumberPoint | HistogramPoint | ExponentialPoint | SummaryPoint


@dataclass(frozen=True, slots=True)
class MetricScope:
    """Which instrumentation emitted the points."""

    name: str
    version: str
    attributes: Attributes = ()
    schema_url: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a request: what its points have in common, and the points.

    `resource` are the attributes of what emitted it. `temporality` is empty for gauges and
    summaries. The points are NumberPoint for a gauge or sum, else those of the type's name.
    `metadata` is what a translator says about where the metric came from.
    """

    resource: Attributes
    scope: MetricScope
    name: str
    unit: str
    description: str
    type: MetricType
    temporality: Temporality
    monotonic: bool
    points: Sequence[Point]
    metadata: Attributes = ()


@dataclass(frozen=True, slots=True, eq=False)
class PointBatch:
    """The accepted data points of one request, in the order of its bytes.

    - `payload`: the serialised `ExportMetricsServiceRequest` that holds these points and no
      others: the received bytes, less the points that were rejected.
    - `metrics`: the metrics that have accepted points.
    - `arrival_ns`: when the request arrived, nanoseconds since the Unix epoch.
    """

    payload: bytes
    metrics: Sequence[Metric] = ()
    arrival_ns: int = 0

    def __len__(self) -> int:
        return sum(len(metric.points) for metric in self.metrics)

    def arrived(self, arrival_ns: int) -> PointBatch:
        """The same points with the arrival time that the journal gave them."""
        return dataclasses.replace(self, arrival_ns=arrival_ns)
