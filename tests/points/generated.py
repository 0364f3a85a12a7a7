"""Generated requests of metrics, as objects of the protobuf library."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import Message
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

M = TypeVar("M", bound=Message)

_UINT32 = st.integers(0, 2**32 - 1)
_UINT64 = st.integers(0, 2**64 - 1)
_INT32 = st.integers(-(2**31), 2**31 - 1)
_INT64 = st.integers(-(2**63), 2**63 - 1)
# One NaN has many bit patterns, of which JSON keeps one.
_DOUBLES = st.floats(allow_nan=False)
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
_TEMPORALITIES = st.sampled_from([0, 1, 2, 77])


def _message(kind: type[M], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[M]:
    """A message with any of these fields set; an empty oneof or optional field is left out."""
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: kind(**given))


def _some(of: st.SearchStrategy[M]) -> st.SearchStrategy[list[M]]:
    return st.lists(of, max_size=3)


_VALUES = st.one_of(
    st.just(AnyValue()),
    st.builds(AnyValue, string_value=_TEXTS),
    st.builds(AnyValue, int_value=_INT64),
    st.builds(AnyValue, double_value=_DOUBLES),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.builds(AnyValue, bytes_value=st.binary(max_size=3)),
    st.just(AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)]))),
)
_ATTRIBUTES = st.lists(st.builds(KeyValue, key=_TEXTS, value=_VALUES), max_size=3)
_NUMBERS: list[dict[str, st.SearchStrategy[object]]] = [
    {},
    {"as_int": _INT64},
    {"as_double": _DOUBLES},
]


def _with_value(kind: type[M], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[M]:
    return st.one_of([_message(kind, **fields, **number) for number in _NUMBERS])


_TIMES: dict[str, st.SearchStrategy[object]] = {
    "start_time_unix_nano": _UINT64,
    "time_unix_nano": _UINT64,
    "flags": _UINT32,
    "attributes": _ATTRIBUTES,
}
_EXEMPLARS = _some(
    _with_value(
        pb.Exemplar,
        filtered_attributes=_ATTRIBUTES,
        time_unix_nano=_UINT64,
        span_id=st.binary(max_size=8),
        trace_id=st.binary(max_size=16),
    )
)
_DISTRIBUTION: dict[str, st.SearchStrategy[object]] = {
    **_TIMES,
    "count": _UINT64,
    "sum": _DOUBLES,
    "min": _DOUBLES,
    "max": _DOUBLES,
    "exemplars": _EXEMPLARS,
}
_COUNTS = st.lists(_UINT64, max_size=4)
_BUCKETS = _message(pb.ExponentialHistogramDataPoint.Buckets, offset=_INT32, bucket_counts=_COUNTS)

_NUMBER_POINTS = _some(_with_value(pb.NumberDataPoint, **_TIMES, exemplars=_EXEMPLARS))
_HISTOGRAM_POINTS = _some(
    _message(
        pb.HistogramDataPoint,
        **_DISTRIBUTION,
        bucket_counts=_COUNTS,
        explicit_bounds=st.lists(_DOUBLES, max_size=4),
    )
)
_EXPONENTIAL_POINTS = _some(
    _message(
        pb.ExponentialHistogramDataPoint,
        **_DISTRIBUTION,
        scale=_INT32,
        zero_count=_UINT64,
        zero_threshold=_DOUBLES,
        positive=_BUCKETS,
        negative=_BUCKETS,
    )
)
_SUMMARY_POINTS = _some(
    _message(
        pb.SummaryDataPoint,
        **_TIMES,
        count=_UINT64,
        sum=_DOUBLES,
        quantile_values=_some(
            _message(pb.SummaryDataPoint.ValueAtQuantile, quantile=_DOUBLES, value=_DOUBLES)
        ),
    )
)
_DATA: list[dict[str, st.SearchStrategy[object]]] = [
    {},
    {"gauge": _message(pb.Gauge, data_points=_NUMBER_POINTS)},
    {
        "sum": _message(
            pb.Sum,
            data_points=_NUMBER_POINTS,
            aggregation_temporality=_TEMPORALITIES,
            is_monotonic=st.booleans(),
        )
    },
    {
        "histogram": _message(
            pb.Histogram, data_points=_HISTOGRAM_POINTS, aggregation_temporality=_TEMPORALITIES
        )
    },
    {
        "exponential_histogram": _message(
            pb.ExponentialHistogram,
            data_points=_EXPONENTIAL_POINTS,
            aggregation_temporality=_TEMPORALITIES,
        )
    },
    {"summary": _message(pb.Summary, data_points=_SUMMARY_POINTS)},
]
_METRICS = st.one_of(
    [
        _message(
            pb.Metric,
            name=_TEXTS,
            description=_TEXTS,
            unit=_TEXTS,
            metadata=_ATTRIBUTES,
            **data,
        )
        for data in _DATA
    ]
)
_SCOPES = _message(
    pb.ScopeMetrics,
    scope=_message(
        InstrumentationScope,
        name=_TEXTS,
        version=_TEXTS,
        attributes=_ATTRIBUTES,
        dropped_attributes_count=_UINT32,
    ),
    metrics=_some(_METRICS),
    schema_url=_TEXTS,
)
_RESOURCES = _message(
    pb.ResourceMetrics,
    resource=_message(Resource, attributes=_ATTRIBUTES, dropped_attributes_count=_UINT32),
    scope_metrics=_some(_SCOPES),
    schema_url=_TEXTS,
)


def metric_requests() -> st.SearchStrategy[ExportMetricsServiceRequest]:
    """Requests with any of the fields of the protocol, valid or not in what they mean."""
    return _message(ExportMetricsServiceRequest, resource_metrics=_some(_RESOURCES))
