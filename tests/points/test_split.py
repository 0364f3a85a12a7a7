"""Requests of metrics are split to a size, and no point is lost, doubled, reordered or changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from points.generated import metric_requests
from points.otlp_metrics import counter, gauge, number, quantiles, request, summary
from spanmill.errors import TooManyMessagesError
from spanmill.points.decoder import decode_metrics
from spanmill.points.split import count_points, split_metrics
from spanmill.spans.split import Part
from spans.generated import field

Enclosed = tuple[bytes, bytes, bytes, bytes]


def points_with_enclosures(payloads: Sequence[bytes]) -> list[Enclosed]:
    """Every point in order, with all that its resource, scope and metric say beside it."""
    return [found for payload in payloads for found in _enclosed(payload)]


def _enclosed(payload: bytes) -> Iterator[Enclosed]:
    message = ExportMetricsServiceRequest.FromString(payload)
    for resource in message.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind is None:
                    continue
                data = getattr(metric, kind)
                points = [point.SerializeToString() for point in data.data_points]
                del data.data_points[:]
                around = (
                    resource.resource.SerializeToString() + resource.schema_url.encode(),
                    scope.scope.SerializeToString() + scope.schema_url.encode(),
                    metric.SerializeToString(),
                )
                yield from ((*around, point) for point in points)


def of_points(count: int, start: int = 0, name: str = "orders") -> pb.Metric:
    return counter(*(number(n) for n in range(start, start + count)), name=name, unit="By")


@given(metric_requests(), st.integers(0, 1000))
@settings(max_examples=200)
def test_parts_hold_the_same_points_within_the_size(
    message: ExportMetricsServiceRequest, max_bytes: int
) -> None:
    body = message.SerializeToString()
    parts = split_metrics(body, max_bytes)
    assert points_with_enclosures([p.payload for p in parts]) == points_with_enclosures([body])
    for part in parts:
        assert part.items == count_points(part.payload)
        assert part.items == len(points_with_enclosures([part.payload]))
        assert part.oversize == (len(part.payload) > max_bytes)


@given(metric_requests())
@settings(max_examples=100)
def test_the_points_that_the_decoder_accepts_are_those_that_are_counted(
    message: ExportMetricsServiceRequest,
) -> None:
    try:
        decoded = decode_metrics(message.SerializeToString())
    except TooManyMessagesError:
        return
    assert count_points(decoded.batch.payload) == len(decoded.batch)


def test_a_request_that_fits_is_its_own_only_part() -> None:
    body = request(of_points(3), gauge(number(1)))
    (part,) = split_metrics(body, len(body))
    assert part == Part(body, 4, oversize=False)
    assert part.payload is body


def test_it_is_split_between_metrics_where_a_scope_is_too_large() -> None:
    metrics = [of_points(3, name=name) for name in "abcd"]
    parts = split_metrics(request(*metrics), len(request(*metrics[:2])))
    assert [part.items for part in parts] == [6, 6]
    assert parts[0].payload == request(*metrics[:2])
    assert parts[1].payload == request(*metrics[2:])


def test_it_is_split_between_points_where_a_metric_is_too_large() -> None:
    parts = split_metrics(request(of_points(10)), len(request(of_points(4))))
    assert [part.items for part in parts] == [4, 4, 2]
    messages = [ExportMetricsServiceRequest.FromString(part.payload) for part in parts]
    assert messages == [
        ExportMetricsServiceRequest.FromString(request(of_points(count, start)))
        for count, start in ((4, 0), (4, 4), (2, 8))
    ]


def test_unknown_fields_around_the_points_are_repeated() -> None:
    unknown = field(99, b"?")
    points = b"".join(field(1, number(n).SerializeToString()) for n in range(3))
    metric = field(2, field(5, unknown + points) + unknown)
    body = unknown + field(1, unknown + field(2, metric + unknown) + unknown)
    parts = split_metrics(body, len(body) - 10)
    assert [part.items for part in parts] == [2, 1]
    assert [part.payload.count(unknown) for part in parts] == [6, 6]


def test_a_point_that_is_too_large_by_itself_comes_alone_and_marked() -> None:
    large = number(1, attributes={"k": "x" * 1000})
    body = request(gauge(number(0), large, number(2), number(3)))
    parts = split_metrics(body, 300)
    assert [(part.items, part.oversize) for part in parts] == [(1, False), (1, True), (2, False)]


def test_data_in_several_pieces_is_counted_as_the_library_merges_it_and_not_split() -> None:
    def data(of: pb.Metric, count: int) -> bytes:
        del of.summary.data_points[count:]
        of.ClearField("name")
        return of.SerializeToString()

    points = summary(*(quantiles([(0.5, 1.0)]) for _ in range(9)))
    gauges = gauge(*(number(n) for n in range(5)), name="").SerializeToString()
    both = gauges + data(points, 2) + data(points, 2)
    body = field(1, field(2, field(2, both)))
    message = ExportMetricsServiceRequest.FromString(body)
    (metric,) = message.resource_metrics[0].scope_metrics[0].metrics
    assert len(metric.summary.data_points) == 4
    assert count_points(body) == 4
    (part,) = split_metrics(body, 20)
    assert (part.items, part.oversize) == (4, True)
    assert part.payload == body


@pytest.mark.parametrize("body", [field(9, b"x" * 100), field(1, field(2, field(2, b"x" * 0)))])
def test_what_holds_no_point_is_one_part(body: bytes) -> None:
    (part,) = split_metrics(body, 3)
    assert (part.payload, part.items, part.oversize) == (body, 0, True)


def test_real_requests_are_split_without_loss(host_metric_requests: list[bytes]) -> None:
    for body in host_metric_requests[:10]:
        parts = split_metrics(body, 2_000)
        assert len(parts) > 1
        assert not any(part.oversize for part in parts)
        assert points_with_enclosures([p.payload for p in parts]) == points_with_enclosures([body])
