"""The messages of OTLP's JSON encoding that only metrics have, as msgspec reads them.

Rules and sources are those of `spans.json_schema`. Points are read one at a time, so that few are
in memory as objects.
"""

from __future__ import annotations

from msgspec import Raw, Struct

from spanmill.spans.json_schema import (
    JsonDouble,
    JsonInteger,
    JsonKeyValue,
    JsonResource,
    JsonScope,
)


class JsonExemplar(Struct, rename="camel", gc=False):
    """Exemplar: at most one of the two values."""

    filtered_attributes: list[JsonKeyValue] | None = None
    time_unix_nano: JsonInteger = None
    as_double: JsonDouble = None
    as_int: JsonInteger = None
    span_id: str | None = None
    trace_id: str | None = None


class JsonNumberPoint(Struct, rename="camel", gc=False):
    """NumberDataPoint: at most one of the two values."""

    attributes: list[JsonKeyValue] | None = None
    start_time_unix_nano: JsonInteger = None
    time_unix_nano: JsonInteger = None
    as_double: JsonDouble = None
    as_int: JsonInteger = None
    exemplars: list[JsonExemplar] | None = None
    flags: JsonInteger = None


class JsonHistogramPoint(Struct, rename="camel", gc=False):
    """HistogramDataPoint."""

    attributes: list[JsonKeyValue] | None = None
    start_time_unix_nano: JsonInteger = None
    time_unix_nano: JsonInteger = None
    count: JsonInteger = None
    sum: JsonDouble = None
    bucket_counts: list[JsonInteger] | None = None
    explicit_bounds: list[JsonDouble] | None = None
    exemplars: list[JsonExemplar] | None = None
    flags: JsonInteger = None
    min: JsonDouble = None
    max: JsonDouble = None


class JsonBuckets(Struct, rename="camel", gc=False):
    """ExponentialHistogramDataPoint.Buckets."""

    offset: JsonInteger = None
    bucket_counts: list[JsonInteger] | None = None


class JsonExponentialPoint(Struct, rename="camel", gc=False):
    """ExponentialHistogramDataPoint."""

    attributes: list[JsonKeyValue] | None = None
    start_time_unix_nano: JsonInteger = None
    time_unix_nano: JsonInteger = None
    count: JsonInteger = None
    sum: JsonDouble = None
    scale: JsonInteger = None
    zero_count: JsonInteger = None
    positive: JsonBuckets | None = None
    negative: JsonBuckets | None = None
    flags: JsonInteger = None
    exemplars: list[JsonExemplar] | None = None
    min: JsonDouble = None
    max: JsonDouble = None
    zero_threshold: JsonDouble = None


class JsonQuantile(Struct, rename="camel", gc=False):
    """SummaryDataPoint.ValueAtQuantile."""

    quantile: JsonDouble = None
    value: JsonDouble = None


class JsonSummaryPoint(Struct, rename="camel", gc=False):
    """SummaryDataPoint."""

    attributes: list[JsonKeyValue] | None = None
    start_time_unix_nano: JsonInteger = None
    time_unix_nano: JsonInteger = None
    count: JsonInteger = None
    sum: JsonDouble = None
    quantile_values: list[JsonQuantile] | None = None
    flags: JsonInteger = None


class JsonData(Struct, rename="camel", gc=False):
    """Gauge, Sum, Histogram, ExponentialHistogram or Summary; each has some of these fields."""

    data_points: list[Raw] | None = None
    aggregation_temporality: int | None = None
    is_monotonic: bool | None = None


class JsonMetric(Struct, rename="camel", gc=False):
    """Metric: at most one of the five kinds of data."""

    name: str | None = None
    description: str | None = None
    unit: str | None = None
    gauge: JsonData | None = None
    sum: JsonData | None = None
    histogram: JsonData | None = None
    exponential_histogram: JsonData | None = None
    summary: JsonData | None = None
    metadata: list[JsonKeyValue] | None = None


class JsonScopeMetrics(Struct, rename={"items": "metrics", "schema_url": "schemaUrl"}, gc=False):
    """ScopeMetrics. Its metrics are read one at a time."""

    scope: JsonScope | None = None
    items: list[Raw] | None = None
    schema_url: str | None = None


class JsonResourceMetrics(
    Struct, rename={"scopes": "scopeMetrics", "schema_url": "schemaUrl"}, gc=False
):
    """ResourceMetrics."""

    resource: JsonResource | None = None
    scopes: list[JsonScopeMetrics] | None = None
    schema_url: str | None = None


class JsonMetricsRequest(Struct, rename={"resources": "resourceMetrics"}, gc=False):
    """ExportMetricsServiceRequest."""

    resources: list[JsonResourceMetrics] | None = None
