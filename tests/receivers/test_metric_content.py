"""Points of every kind, good and bad, over each transport: what is taken, rejected and sent on."""

from __future__ import annotations

import math

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from points.otlp_metrics import (
    DELTA,
    NOT_RECORDED,
    NOW,
    buckets,
    counter,
    exemplar,
    exponential,
    gauge,
    histogram,
    native,
    number,
    quantiles,
    request,
    summary,
)
from receivers.clients import JSON, Client
from receivers.receiver_pipeline import ReceiverPipeline
from receivers.sent_signals import METRICS, SentSignal
from spanmill.points.attributes import read_attributes
from spanmill.points.batch import NumberPoint

pytestmark = pytest.mark.usefixtures("neighbours")

PROTOBUF_TRANSPORTS = pytest.mark.parametrize("transport", ["grpc", "http-protobuf"])


@pytest.fixture
def signal() -> SentSignal:
    return METRICS


def sent_on(pipeline: ReceiverPipeline) -> ExportMetricsServiceRequest:
    """The last request, as a destination gets it."""
    return ExportMetricsServiceRequest.FromString(pipeline.records[-1].entry.payload)


def assert_taken_whole(
    pipeline: ReceiverPipeline, client: Client, *metrics: pb.Metric, points: int
) -> None:
    """A request of these metrics is taken and goes on as it is."""
    before = pipeline.items("metrics", "accepted")
    body = request(*metrics)
    answer = client.send(body)
    assert answer.ok
    assert answer.rejected == 0, answer.message
    assert pipeline.items("metrics", "accepted") == before + points
    assert sent_on(pipeline) == ExportMetricsServiceRequest.FromString(body)


def assert_rejected_alone(
    pipeline: ReceiverPipeline, client: Client, bad: pb.Metric, points: int = 1
) -> None:
    """The points of this metric are rejected, and the metrics beside it are taken."""
    before = pipeline.items("metrics", "accepted")
    good = gauge(number(1), name="before"), counter(number(2), name="after")
    answer = client.send(request(good[0], bad, good[1]))
    assert answer.ok
    assert answer.rejected == points
    assert answer.message
    assert pipeline.items("metrics", "accepted") == before + 2
    (resource,) = sent_on(pipeline).resource_metrics
    metrics = list(resource.scope_metrics[0].metrics)
    assert (metrics[0], metrics[-1]) == good
    assert sum(len(points_of(metric)) for metric in metrics) == 2


def points_of(metric: pb.Metric) -> list[object]:
    return list(getattr(metric, str(metric.WhichOneof("data"))).data_points)


def test_promise_14_integers_and_enums_of_metrics_in_json(pipeline: ReceiverPipeline) -> None:
    template = (
        '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"c","sum":{'
        '"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asInt":%s,'
        '"timeUnixNano":%s,"as_int":"9","tomorrow":[1]}]}}]}]}]}'
    )
    client = pipeline.http_client(JSON, METRICS)
    for value, time in (("7", NOW), ('"7"', f'"{NOW}"')):
        assert client.send_encoded((template % (value, time)).encode(), {}).ok
        (metric,) = pipeline.points[-1].metrics
        (point,) = metric.points
        assert (metric.temporality, metric.monotonic) == ("cumulative", True)
        assert isinstance(point, NumberPoint)
        assert (point.time, point.value) == (NOW, 7)


@PROTOBUF_TRANSPORTS
def test_promise_15_unknown_fields_around_points_go_on(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    unknown = bytes.fromhex("ba3e05") + b"later"  # field 999
    body = METRICS.in_item(unknown) + unknown

    assert client.send(body).ok
    assert pipeline.records[-1].entry.payload == body
    assert body.count(b"later") == 2


def test_promise_16_every_type_of_attribute_of_a_point_is_read_and_goes_on(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    nested = KeyValueList(values=[KeyValue(key="k", value=AnyValue(int_value=1))])
    values = {
        "string": AnyValue(string_value="naïve\n"),
        "bool": AnyValue(bool_value=False),
        "int": AnyValue(int_value=-(2**63)),
        "double": AnyValue(double_value=2.5),
        "bytes": AnyValue(bytes_value=b"\x00\xff"),
        "array": AnyValue(array_value=ArrayValue(values=[AnyValue(kvlist_value=nested)])),
        "empty": AnyValue(),
    }
    point = number(1)
    point.attributes.extend(KeyValue(key=key, value=value) for key, value in values.items())

    assert_taken_whole(pipeline, client, gauge(point), points=1)
    assert read_attributes(pipeline.points[-1].metrics[0].points[0].attributes) == {
        "string": "naïve\n",
        "bool": False,
        "int": -(2**63),
        "double": 2.5,
        "bytes": b"\x00\xff",
        "array": ({"k": 1},),
        "empty": None,
    }


OF_EVERY_TYPE = {
    "gauge": gauge(number(1), number(-2.5)),
    "cumulative counter": counter(number(5), number(0.5)),
    "delta counter": counter(number(5, start=NOW - 1), number(1), temporality=DELTA),
    "up-down counter": counter(number(-5), monotonic=False),
    "delta of an up-down counter": counter(number(-5), monotonic=False, temporality=DELTA),
    "histogram": histogram(buckets([0.5, 1.0], [1, 0, 2])),
    "delta histogram": histogram(buckets([0.5], [1, 2]), temporality=DELTA),
    "histogram without buckets": histogram(buckets([], [])),
    "histogram without a sum": histogram(buckets([1.0], [1, 1], total=None)),
    "exponential histogram": exponential(native([1, 0, 2], negative=[1], zeros=3, scale=3)),
    "delta exponential histogram": exponential(native([1, 0, 2], scale=-2), temporality=DELTA),
    "summary": summary(quantiles([(0.5, 1.0), (0.99, 7.0)])),
    "no recorded value": gauge(number(None, flags=NOT_RECORDED)),
    "exemplars": counter(number(2, exemplars=[exemplar(0.5), exemplar(2, trace=b"")])),
    "a start-time reset": counter(number(9, start=1, time=NOW), number(1, start=NOW, time=NOW + 1)),
    "a point twice": gauge(number(3), number(3)),
    "no points": gauge(),
}


@pytest.mark.parametrize("metric", OF_EVERY_TYPE.values(), ids=OF_EVERY_TYPE)
def test_promise_19_metrics_of_every_type_are_taken_and_go_on(
    pipeline: ReceiverPipeline, client: Client, metric: pb.Metric
) -> None:
    assert_taken_whole(pipeline, client, metric, points=len(points_of(metric)))


@PROTOBUF_TRANSPORTS
def test_promise_23_received_metrics_go_on_byte_for_byte(
    pipeline: ReceiverPipeline, client: Client, host_metric_requests: list[bytes]
) -> None:
    bodies = host_metric_requests[:40]
    before = len(pipeline.payload)

    for turn, body in enumerate(bodies):
        assert client.send(body, compressed=bool(turn % 2)).ok

    assert pipeline.payload[before:] == b"".join(bodies)


def test_promise_23_metrics_in_json_become_the_protobuf_that_means_the_same(
    pipeline: ReceiverPipeline, host_metric_requests: list[bytes]
) -> None:
    client = pipeline.client("http-json", METRICS)
    for body in sorted(host_metric_requests, key=len)[:10]:
        assert client.send(body).ok
        assert sent_on(pipeline) == ExportMetricsServiceRequest.FromString(body)


@PROTOBUF_TRANSPORTS
def test_promise_23_every_byte_around_a_rejected_point_stays(
    pipeline: ReceiverPipeline, client: Client, host_metric_requests: list[bytes]
) -> None:
    good = ExportMetricsServiceRequest.FromString(host_metric_requests[0])
    with_bad = ExportMetricsServiceRequest.FromString(host_metric_requests[0])
    metric = with_bad.resource_metrics[0].scope_metrics[0].metrics[0]
    points_before = len(points_of(metric))
    getattr(metric, str(metric.WhichOneof("data"))).data_points.add()
    unknown = bytes.fromhex("ba3e05") + b"later"

    answer = client.send(with_bad.SerializeToString() + unknown)

    assert answer.rejected == 1
    assert points_before > 0
    assert pipeline.records[-1].entry.payload == good.SerializeToString() + unknown


def test_bad_input_11_a_nul_in_a_metric_name_a_key_and_a_value(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    assert_taken_whole(
        pipeline, client, gauge(number(1, attributes={"a\0key": "a\0value"}), name="a\0m"), points=1
    )


@pytest.mark.parametrize(
    ("start", "time"), [(0, 0), (NOW, NOW - 1), (0, 10**9), (1, 2**63), (2**64 - 1, 2**64 - 1)]
)
def test_bad_input_17_times_of_points_from_1970_to_the_last_nanosecond(
    pipeline: ReceiverPipeline, client: Client, start: int, time: int
) -> None:
    assert_taken_whole(pipeline, client, counter(number(1, start=start, time=time)), points=1)


@pytest.mark.parametrize("temporality", [0, 3, 99])
def test_bad_input_19_an_unknown_temporality(
    pipeline: ReceiverPipeline, client: Client, temporality: pb.AggregationTemporality.ValueType
) -> None:
    for bad in (
        counter(number(1), temporality=temporality),
        histogram(buckets([1.0], [1, 1]), temporality=temporality),
        exponential(native([1]), temporality=temporality),
    ):
        assert_rejected_alone(pipeline, client, bad)


def test_bad_input_22_a_point_sent_again_is_taken_again(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    for _ in range(2):
        assert_taken_whole(pipeline, client, gauge(number(3), number(3)), points=2)


@pytest.mark.parametrize("resource", [{}, {"service.name": 7}, {"service.name": ""}])
def test_bad_input_23_metrics_of_a_service_without_a_proper_name(
    pipeline: ReceiverPipeline, client: Client, resource: dict[str, str | int]
) -> None:
    body = request(gauge(number(1)), resource=dict(resource))

    assert client.send(body).ok
    assert sent_on(pipeline) == ExportMetricsServiceRequest.FromString(body)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0])
def test_bad_input_27_a_gauge_of_nan_infinity_or_minus_0_is_taken(
    pipeline: ReceiverPipeline, client: Client, value: float
) -> None:
    before = pipeline.items("metrics", "accepted")

    assert client.send(request(gauge(number(value)))).rejected == 0
    assert pipeline.items("metrics", "accepted") == before + 1
    (point,) = sent_on(pipeline).resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    assert repr(point.as_double) == repr(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_bad_input_27_a_counter_without_a_meaning_is_rejected_alone(
    pipeline: ReceiverPipeline, client: Client, value: float
) -> None:
    assert_rejected_alone(pipeline, client, counter(number(value)))


BAD_HISTOGRAMS = {
    "a count that is not the buckets' sum": pb.HistogramDataPoint(
        time_unix_nano=NOW, count=7, bucket_counts=[1, 1], explicit_bounds=[1.0]
    ),
    "bounds out of order": buckets([2.0, 1.0], [1, 1, 1]),
    "a bound twice": buckets([1.0, 1.0], [1, 1, 1]),
    "a bound that is no number": buckets([math.nan], [1, 1]),
    "too few buckets": buckets([1.0, 2.0], [1, 1]),
}


@pytest.mark.parametrize("point", BAD_HISTOGRAMS.values(), ids=BAD_HISTOGRAMS)
def test_bad_input_28_histograms_that_do_not_add_up_are_rejected_alone(
    pipeline: ReceiverPipeline, client: Client, point: pb.HistogramDataPoint
) -> None:
    assert_rejected_alone(pipeline, client, histogram(point))


BAD_EXPONENTIAL_HISTOGRAMS = {
    "scale -30": native([1], scale=-30),
    "buckets beyond the doubles": native([1], offset=2**31 - 1, scale=0),
}


@pytest.mark.parametrize(
    "point", BAD_EXPONENTIAL_HISTOGRAMS.values(), ids=BAD_EXPONENTIAL_HISTOGRAMS
)
def test_bad_input_29_exponential_histograms_out_of_range_are_rejected_alone(
    pipeline: ReceiverPipeline, client: Client, point: pb.ExponentialHistogramDataPoint
) -> None:
    assert_rejected_alone(pipeline, client, exponential(point))


@pytest.mark.parametrize(
    "point", [native([1], scale=40), native([1], offset=100_000_000, scale=20)]
)
def test_bad_input_29_fine_scales_and_far_offsets_cost_nothing(
    pipeline: ReceiverPipeline, client: Client, point: pb.ExponentialHistogramDataPoint
) -> None:
    assert_taken_whole(pipeline, client, exponential(point), points=1)


def test_bad_input_30_a_counter_that_goes_down_is_taken(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    for value in (9, 3):
        assert_taken_whole(pipeline, client, counter(number(value)), points=1)
