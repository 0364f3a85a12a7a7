"""OTLP's JSON of metrics gives the protobuf that says the same, or a sentence on what is wrong."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from points.generated import metric_requests
from spanmill.errors import TooManyMessagesError, UndecodableError
from spanmill.points.otlp_json import json_to_protobuf
from spanmill.points.wire import MAX_MESSAGES

JsonObject = dict[str, Any]


def to_json(request: ExportMetricsServiceRequest) -> bytes:
    """Protobuf's own JSON, with the exceptions that OTLP makes: hex ids, numbers for enums."""
    document = MessageToDict(request, use_integers_for_enums=True)

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, dict):
            for key, inner in value.items():
                if key in ("traceId", "spanId"):
                    value[key] = base64.b64decode(inner).hex()
                else:
                    walk(inner)

    walk(document)
    return json.dumps(document).encode()


def with_metric(fields: JsonObject) -> bytes:
    request = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [fields]}]}]}
    return json.dumps(request).encode()


def read_metric(fields: JsonObject) -> pb.Metric:
    request = ExportMetricsServiceRequest.FromString(json_to_protobuf(with_metric(fields)))
    return request.resource_metrics[0].scope_metrics[0].metrics[0]


def read_number(fields: JsonObject) -> pb.NumberDataPoint:
    return read_metric({"gauge": {"dataPoints": [fields]}}).gauge.data_points[0]


def read_histogram(fields: JsonObject) -> pb.HistogramDataPoint:
    return read_metric({"histogram": {"dataPoints": [fields]}}).histogram.data_points[0]


@given(metric_requests())
@settings(max_examples=200)
def test_any_request_gives_the_bytes_of_the_library(request: ExportMetricsServiceRequest) -> None:
    assert json_to_protobuf(to_json(request)) == request.SerializeToString(deterministic=True)


def test_the_real_metrics_give_the_bytes_of_the_library(host_metric_requests: list[bytes]) -> None:
    for body in host_metric_requests[::20]:
        request = ExportMetricsServiceRequest.FromString(body)
        assert json_to_protobuf(to_json(request)) == request.SerializeToString()


@pytest.mark.parametrize(
    ("given_value", "value"),
    [
        (1.5, 1.5),
        (-0.0, -0.0),
        ("1.5", 1.5),
        ("NaN", math.nan),
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
        (7, 7.0),
    ],
)
def test_doubles_are_numbers_or_strings(given_value: object, value: float) -> None:
    point = read_number({"asDouble": given_value})
    assert point.WhichOneof("value") == "as_double"
    assert repr(point.as_double) == repr(value)


@pytest.mark.parametrize("given_value", [-5, "-5", -5.0])
def test_integers_are_numbers_or_strings(given_value: object) -> None:
    assert read_number({"asInt": given_value}).as_int == -5
    counts = read_histogram({"count": "3", "bucketCounts": ["1", 2]})
    assert (counts.count, list(counts.bucket_counts)) == (3, [1, 2])


def test_a_value_of_0_is_a_value_and_null_is_none() -> None:
    assert read_number({"asInt": 0}).WhichOneof("value") == "as_int"
    assert read_number({"asDouble": 0}).WhichOneof("value") == "as_double"
    assert read_number({"asInt": None}).WhichOneof("value") is None
    assert read_histogram({"sum": 0, "min": None}).HasField("sum")
    assert not read_histogram({"sum": 0, "min": None}).HasField("min")


def test_ids_of_exemplars_are_hexadecimal_in_either_case() -> None:
    exemplar = {"traceId": "AB" * 16, "spanId": "cd" * 8, "asInt": "1"}
    (read,) = read_number({"exemplars": [exemplar]}).exemplars
    assert (read.trace_id, read.span_id, read.as_int) == (b"\xab" * 16, b"\xcd" * 8, 1)


def test_names_are_lower_camel_case_and_unknown_ones_are_ignored() -> None:
    metric = read_metric(
        {
            "name": "m",
            "tomorrow": {"a": [1]},
            "sum": {"is_monotonic": True, "aggregationTemporality": 2, "dataPoints": []},
        }
    )
    assert metric == pb.Metric(name="m", sum=pb.Sum(aggregation_temporality=2))  # type: ignore[arg-type]  # as it came


def test_enums_are_integers_and_unknown_ones_go_on() -> None:
    assert read_metric({"histogram": {"aggregationTemporality": 9}}).histogram == pb.Histogram(
        aggregation_temporality=9  # type: ignore[arg-type]  # as it came
    )
    data = read_metric({"sum": {"aggregationTemporality": 9}}).sum
    assert data.aggregation_temporality == 9
    with pytest.raises(UndecodableError, match="aggregationTemporality"):
        read_metric({"sum": {"aggregationTemporality": "AGGREGATION_TEMPORALITY_DELTA"}})


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"gauge": {"dataPoints": [{}, {"asInt": "x"}]}}, "gauge.dataPoints[1].asInt"),
        ({"sum": {"dataPoints": [{"timeUnixNano": -1}]}}, "sum.dataPoints[0].timeUnixNano"),
        (
            {"histogram": {"dataPoints": [{"bucketCounts": [1, "-2"]}]}},
            "histogram.dataPoints[0].bucketCounts[1]",
        ),
        (
            {"histogram": {"dataPoints": [{"explicitBounds": ["one"]}]}},
            "histogram.dataPoints[0].explicitBounds[0]",
        ),
        (
            {"exponentialHistogram": {"dataPoints": [{"positive": {"offset": 2**31}}]}},
            "exponentialHistogram.dataPoints[0].positive.offset",
        ),
        (
            {"summary": {"dataPoints": [{"quantileValues": [{"quantile": "half"}]}]}},
            "summary.dataPoints[0].quantileValues[0].quantile",
        ),
        (
            {"gauge": {"dataPoints": [{"exemplars": [{"spanId": "xyz"}]}]}},
            "gauge.dataPoints[0].exemplars[0].spanId",
        ),
        (
            {"gauge": {"dataPoints": [{"attributes": [{"value": {"intValue": "x"}}]}]}},
            "gauge.dataPoints[0].attributes[0].value.intValue",
        ),
        ({"metadata": [{"value": {"intValue": "x"}}]}, "metadata[0].value.intValue"),
        ({"gauge": {"dataPoints": [{"asInt": 1, "asDouble": 1}]}}, "gauge.dataPoints[0]"),
        ({"gauge": {}, "sum": {}}, "metrics[0]"),
    ],
)
def test_the_message_leads_to_the_place(fields: JsonObject, path: str) -> None:
    with pytest.raises(UndecodableError) as refused:
        json_to_protobuf(with_metric(fields))
    where = "the JSON body has a wrong value at $.resourceMetrics[0].scopeMetrics[0].metrics[0]"
    assert str(refused.value).startswith(where)
    assert path in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"resourceMetrics": {}}',
        b'\xef\xbb\xbf{"resourceMetrics": []}',
        with_metric({"gauge": {"dataPoints": [5]}}),
        with_metric({"gauge": {"dataPoints": {}}}),
        with_metric({"name": 5}),
        with_metric({"summary": {"dataPoints": [{"sum": True}]}}),
        b"[" * 10_000,
    ],
)
def test_bad_json_is_refused_and_nothing_else_is_raised(body: bytes) -> None:
    with pytest.raises(UndecodableError):
        json_to_protobuf(body)


def test_every_prefix_of_a_request_is_refused() -> None:
    body = with_metric({"name": "m", "gauge": {"dataPoints": [{"asInt": 1}]}})
    for length in range(len(body)):
        with pytest.raises(UndecodableError):
            json_to_protobuf(body[:length])


def test_more_points_than_a_request_may_have_are_refused_before_they_are_read() -> None:
    points = b",".join([b'"no point"'] * (MAX_MESSAGES + 1))
    body = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[%s]}}]}]}]}'
    with pytest.raises(TooManyMessagesError):
        json_to_protobuf(body % points)
