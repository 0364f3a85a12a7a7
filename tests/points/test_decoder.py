"""What becomes of the bytes of a request."""

from __future__ import annotations

import math

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from points.otlp_metrics import (
    DELTA,
    NOT_RECORDED,
    NOW,
    Scalar,
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
from spanmill.errors import UndecodableError
from spanmill.points.attributes import read_attributes
from spanmill.points.batch import (
    Buckets,
    ExponentialPoint,
    HistogramPoint,
    NumberPoint,
    SummaryPoint,
)
from spanmill.points.decoder import POINT_REJECTION_REASONS, decode_metrics, point_warnings
from spans.generated import field


def test_an_empty_request_has_no_points() -> None:
    decoded = decode_metrics(b"")
    assert (len(decoded.batch), decoded.batch.payload, decoded.rejected) == (0, b"", {})


def test_a_metric_carries_what_its_points_have_in_common() -> None:
    scope = InstrumentationScope(name="lib", version="1")
    body = request(
        counter(
            number(1, start=5, attributes={"k": "v"}), name="a.b", unit="By", temporality=DELTA
        ),
        scope=scope,
    )
    (metric,) = decode_metrics(body).batch.metrics
    assert (metric.name, metric.unit, metric.type) == ("a.b", "By", "sum")
    assert (metric.temporality, metric.monotonic) == ("delta", True)
    assert read_attributes(metric.resource) == {"service.name": "shop"}
    assert (metric.scope.name, metric.scope.version) == ("lib", "1")
    assert metric.points == [NumberPoint(("k", "v"), 5, NOW, True, 1, ())]


@pytest.mark.parametrize("value", [0, 1, -1, 2**63 - 1, 0.0, -0.0, 0.5, math.inf, -math.inf])
def test_numbers_keep_their_type_and_value(value: float) -> None:
    (metric,) = decode_metrics(request(gauge(number(value)))).batch.metrics
    point = metric.points[0]
    assert isinstance(point, NumberPoint)
    assert repr(point.value) == repr(value)


def test_a_gauge_may_be_nan() -> None:
    (metric,) = decode_metrics(request(gauge(number(math.nan)))).batch.metrics
    assert isinstance(metric.points[0], NumberPoint)
    assert math.isnan(metric.points[0].value)


def test_every_type_of_attribute_is_read() -> None:
    attributes: dict[str, Scalar | None] = {
        "s": "x",
        "e": "",
        "b": True,
        "i": 1,
        "d": 1.0,
        "y": b"\0",
        "n": None,
    }
    (metric,) = decode_metrics(request(gauge(number(1, attributes=attributes)))).batch.metrics
    assert repr(read_attributes(metric.points[0].attributes)) == repr(attributes)


def test_attributes_that_only_differ_in_type_are_different_keys() -> None:
    points = [number(1, attributes={"k": value}) for value in (1, 1.0, True, "1")]
    (metric,) = decode_metrics(request(gauge(*points))).batch.metrics
    assert len({point.attributes for point in metric.points}) == 4


def test_histograms_of_each_kind() -> None:
    body = request(
        histogram(buckets([1.0, 2.0], [1, 2, 3], total=7.5)),
        exponential(native([0, 1, 2, 0], offset=-3, negative=[4], zeros=5, threshold=0.25)),
        summary(quantiles([(0.9, 4.0), (0.5, 2.0)], count=9, total=20.0)),
    )
    explicit, exponential_, summary_ = decode_metrics(body).batch.metrics
    point = explicit.points[0]
    assert isinstance(point, HistogramPoint)
    assert (point.total, point.sum) == (6, 7.5)
    assert (point.bounds, point.counts) == ((1.0, 2.0), (1, 2, 3))
    fine = exponential_.points[0]
    assert isinstance(fine, ExponentialPoint)
    assert (fine.total, fine.zero_count, fine.zero_threshold, fine.scale) == (12, 5, 0.25, 0)
    assert (fine.positive, fine.negative) == (Buckets(-2, (1, 2)), Buckets(0, (4,)))
    last = summary_.points[0]
    assert isinstance(last, SummaryPoint)
    assert (last.quantiles, last.values) == ((0.5, 0.9), (2.0, 4.0))
    assert (last.total, last.sum) == (9, 20.0)


def test_a_histogram_without_a_sum_has_none() -> None:
    (metric,) = decode_metrics(request(histogram(buckets([], [3], total=None)))).batch.metrics
    point = metric.points[0]
    assert isinstance(point, HistogramPoint)
    assert math.isnan(point.sum)


def test_an_infinite_last_bound_is_the_same_as_none() -> None:
    (metric,) = decode_metrics(
        request(histogram(buckets([1.0, math.inf], [1, 2, 0])))
    ).batch.metrics
    point = metric.points[0]
    assert isinstance(point, HistogramPoint)
    assert (point.bounds, point.counts) == ((1.0,), (1, 2))


def test_a_fine_exponential_histogram_gets_the_finest_scale_that_is_kept() -> None:
    (metric,) = decode_metrics(request(exponential(native([1] * 4096, scale=20)))).batch.metrics
    point = metric.points[0]
    assert isinstance(point, ExponentialPoint)
    assert (point.scale, point.positive) == (8, Buckets(0, (4096,)))


@pytest.mark.parametrize("scale", [8, 20, 40, 2**31 - 1])
def test_buckets_that_are_too_many_to_keep_share_wider_ones(scale: int) -> None:
    (metric,) = decode_metrics(
        request(exponential(native([1] * 10_000, scale=scale)))
    ).batch.metrics
    point = metric.points[0]
    assert isinstance(point, ExponentialPoint)
    assert sum(point.positive.counts) == point.total == 10_000
    assert len(point.positive.counts) <= 1024
    assert point.scale == (4 if scale == 8 else 8)


def test_exemplars_are_kept() -> None:
    body = request(counter(number(1, exemplars=[exemplar(0.5, 9, attributes={"k": "v"})])))
    (metric,) = decode_metrics(body).batch.metrics
    point = metric.points[0]
    assert isinstance(point, NumberPoint)
    assert point.exemplars == ((("k", "v"), 9, 0.5, b"\x01" * 16, b"\x01" * 8),)


def without_temporality(metric: pb.Metric) -> pb.Metric:
    metric.sum.aggregation_temporality = 7  # type: ignore[assignment]  # unknown to the protocol
    return metric


def with_sum(
    point: pb.ExponentialHistogramDataPoint, total: float
) -> pb.ExponentialHistogramDataPoint:
    point.sum = total
    return point


REJECTED = {
    "no name": (gauge(number(1), name=""), "no_name"),
    "no temporality": (
        counter(number(1), temporality=pb.AGGREGATION_TEMPORALITY_UNSPECIFIED),
        "no_temporality",
    ),
    "an unknown temporality": (without_temporality(counter(number(1))), "no_temporality"),
    "a histogram without temporality": (
        histogram(buckets([], [1]), temporality=pb.AGGREGATION_TEMPORALITY_UNSPECIFIED),
        "no_temporality",
    ),
    "no value": (gauge(number(None)), "no_value"),
    "a negative counter": (counter(number(-1)), "invalid_sum"),
    "a counter of NaN": (counter(number(math.nan)), "invalid_sum"),
    "an infinite counter": (counter(number(math.inf)), "invalid_sum"),
    "a delta histogram with a sum of NaN": (
        histogram(buckets([1.0], [1, 2], total=math.nan), temporality=DELTA),
        "invalid_sum",
    ),
    "a delta histogram with an infinite sum": (
        histogram(buckets([1.0], [1, 2], total=-math.inf), temporality=DELTA),
        "invalid_sum",
    ),
    "an exponential delta histogram with a sum of NaN": (
        exponential(with_sum(native([1]), math.nan), temporality=DELTA),
        "invalid_sum",
    ),
    "an infinite change": (
        counter(number(-math.inf), temporality=DELTA, monotonic=False),
        "invalid_sum",
    ),
    "a bucket too few": (histogram(buckets([1.0, 2.0], [1, 2])), "invalid_bounds"),
    "a bucket too many": (histogram(buckets([1.0], [1, 2, 3])), "invalid_bounds"),
    "bounds without buckets": (histogram(buckets([1.0], [])), "invalid_bounds"),
    "bounds out of order": (histogram(buckets([2.0, 1.0], [1, 1, 1])), "invalid_bounds"),
    "a bound twice": (histogram(buckets([1.0, 1.0], [1, 1, 1])), "invalid_bounds"),
    "a bound of NaN": (histogram(buckets([math.nan], [1, 1])), "invalid_bounds"),
    "a bound of -Inf": (histogram(buckets([-math.inf], [1, 1])), "invalid_bounds"),
    "two infinite bounds": (histogram(buckets([math.inf] * 2, [1, 1, 1])), "invalid_bounds"),
    "counts that don't add up": (
        histogram(pb.HistogramDataPoint(count=3, explicit_bounds=[1.0], bucket_counts=[1, 1])),
        "invalid_counts",
    ),
    "more buckets than are kept": (
        histogram(buckets([float(i) for i in range(16_384)], [1] * 16_385)),
        "too_many_buckets",
    ),
    "exponential counts that don't add up": (
        exponential(pb.ExponentialHistogramDataPoint(count=1)),
        "invalid_counts",
    ),
    "scale -30": (exponential(native([1], scale=-30)), "invalid_scale"),
    "the lowest scale": (exponential(native([1], scale=-(2**31))), "invalid_scale"),
    "a bucket above the doubles": (
        exponential(native([1], offset=100_000_000)),
        "invalid_scale",
    ),
    "a bucket below the doubles": (
        exponential(native([], negative=[1], negative_offset=-100_000_000)),
        "invalid_scale",
    ),
    "a negative zero threshold": (exponential(native([1], threshold=-1.0)), "invalid_scale"),
    "a zero threshold of NaN": (exponential(native([1], threshold=math.nan)), "invalid_scale"),
    "more exponential buckets than are kept": (
        exponential(native([0] * 16_385)),
        "too_many_buckets",
    ),
    "a quantile over 1": (summary(quantiles([(1.5, 1.0)])), "invalid_quantiles"),
    "a negative quantile": (summary(quantiles([(-0.5, 1.0)])), "invalid_quantiles"),
    "a quantile of NaN": (summary(quantiles([(math.nan, 1.0)])), "invalid_quantiles"),
    "a quantile twice": (summary(quantiles([(0.5, 1.0), (0.5, 2.0)])), "invalid_quantiles"),
}


@pytest.mark.parametrize(("bad", "reason"), REJECTED.values(), ids=REJECTED.keys())
def test_a_point_without_meaning_is_cut_out_alone(bad: pb.Metric, reason: str) -> None:
    good = gauge(number(1), name="good")
    decoded = decode_metrics(request(good, bad, good))
    assert decoded.rejected == {reason: 1}
    assert decoded.rejected_points == 1
    assert reason in POINT_REJECTION_REASONS
    assert [metric.name for metric in decoded.batch.metrics] == ["good", "good"]
    again = decode_metrics(decoded.batch.payload)
    assert again.batch.payload == decoded.batch.payload
    assert (len(again.batch), again.rejected) == (2, {})


def test_a_point_that_is_not_recorded_needs_no_value() -> None:
    decoded = decode_metrics(request(counter(number(None, flags=NOT_RECORDED))))
    assert decoded.rejected == {}
    assert not decoded.batch.metrics[0].points[0].recorded


@pytest.mark.parametrize(
    "offset", [-1074, 1023], ids=["the smallest double", "the greatest double"]
)
def test_buckets_at_the_ends_of_the_doubles_are_taken(offset: int) -> None:
    assert decode_metrics(request(exponential(native([1], offset=offset)))).rejected == {}
    coarse = exponential(native([1, 1], scale=-10, offset=-2 if offset < 0 else -1))
    assert decode_metrics(request(coarse)).rejected == {}


def test_unknown_fields_and_neighbours_are_kept_byte_for_byte() -> None:
    unknown = field(999, b"later")
    good = field(1, number(1).SerializeToString() + unknown)
    bad = field(1, number(None).SerializeToString())

    def body(points: bytes) -> bytes:
        metric = field(1, b"m") + unknown + field(5, unknown + points) + unknown
        return unknown + field(1, unknown + field(2, field(2, metric) + unknown)) + unknown

    decoded = decode_metrics(body(good + bad + good))
    assert decoded.rejected == {"no_value": 1}
    assert decoded.batch.payload == body(good + good)


def test_of_several_kinds_of_data_the_last_counts() -> None:
    good = field(1, number(3).SerializeToString())
    bad = field(1, number(None).SerializeToString())
    cumulative = b"\x10\x02"

    def body(points: bytes) -> bytes:
        data = field(5, bad + bad) + field(7, points + cumulative) + field(7, good)
        return field(1, field(2, field(2, field(1, b"m") + data)))

    decoded = decode_metrics(body(good + bad))
    assert decoded.rejected == {"no_value": 1}
    assert len(decoded.batch) == 2
    assert decoded.batch.payload == body(good)


@pytest.mark.parametrize(
    "body",
    {
        "random bytes": b"\xff\x00\x13\x37",
        "a length past the end": b"\x0a\x7f",
        "field number 0": b"\x02\x00",
        "invalid UTF-8 in a name": request(gauge(number(1), name="n")).replace(b"n", b"\xff"),
        "invalid UTF-8 in a key": request(gauge(number(1, attributes={"kk": "v"}))).replace(
            b"kk", b"k\xff"
        ),
        "invalid UTF-8 in a value": request(gauge(number(1, attributes={"k": "vv"}))).replace(
            b"vv", b"v\xff"
        ),
        "JSON": b'{"resourceMetrics":[]}',
    }.values(),
)
def test_what_the_library_refuses_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(UndecodableError, match="not an ExportMetricsServiceRequest in protobuf"):
        decode_metrics(body)


def test_every_prefix_and_every_bit_flip_is_read_or_refused() -> None:
    body = request(
        gauge(number(1, attributes={"k": "v", "i": 3}, exemplars=[exemplar(1.0)])),
        histogram(buckets([1.0], [1, 2])),
        exponential(native([1, 2], negative=[3])),
        summary(quantiles([(0.5, 1.0)])),
        counter(number(-1)),
    )
    damaged = [body[:end] for end in range(len(body))]
    for at in range(len(body) * 8):
        flipped = bytearray(body)
        flipped[at // 8] ^= 1 << at % 8
        damaged.append(bytes(flipped))
    read = 0
    for candidate in damaged:
        try:
            decoded = decode_metrics(candidate)
        except UndecodableError:
            continue
        read += 1
        sent = ExportMetricsServiceRequest.FromString(candidate)
        points = sum(
            len(getattr(metric, kind).data_points)
            for resource in sent.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if (kind := metric.WhichOneof("data")) is not None
        )
        assert len(decoded.batch) + decoded.rejected_points == points
        assert len(decode_metrics(decoded.batch.payload).batch) == len(decoded.batch)
    assert 0 < read < len(damaged)


def test_clients_learn_of_points_without_a_time_and_of_scales_too_coarse() -> None:
    body = request(gauge(number(1, time=0)), exponential(native([1], scale=-5)))
    assert point_warnings(decode_metrics(body).batch) == [
        "points without a time count as of their arrival: 1",
        "exponential histograms below scale -4 can't be shown to Prometheus: 1",
    ]
    assert point_warnings(decode_metrics(request(gauge(number(1)))).batch) == []


def test_a_batch_learns_when_it_arrived() -> None:
    batch = decode_metrics(request(gauge(number(1)))).batch
    later = batch.arrived(7)
    assert (later.arrival_ns, later.payload, len(later)) == (7, batch.payload, 1)
