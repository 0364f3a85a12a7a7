from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from exporters.otlp_metrics.decoded import pushed_points
from exporters.otlp_metrics.snapshots import parts_of
from exposition_examples import histogram_family, values_family
from spanmill.points.split import count_points
from spanmill.series.snapshot import FamilySnapshot, LabelValues, NativeBuckets

LABELS = st.lists(
    st.none() | st.tuples(st.sampled_from(["", "shop"]), st.text(max_size=30)),
    unique=True,
    max_size=30,
)


def families(
    counted: list[LabelValues | None], timed: list[LabelValues | None]
) -> list[FamilySnapshot]:
    names = ("job", "route")
    buckets = [NativeBuckets(0, 0.0, 0, np.ones(3))] * len(timed)
    return [
        values_family("a_total", "counter", range(len(counted)), names=names, labels=counted),
        histogram_family(
            "b",
            (1.0,),
            [[3, 0]] * len(timed),
            [1.0] * len(timed),
            names=names,
            labels=timed,
            native=buckets,
        ),
        values_family("c", "gauge", range(len(counted)), names=names, labels=counted),
    ]


@given(LABELS, LABELS, st.integers(1, 4000))
def test_requests_are_bounded_and_hold_every_point_once(
    counted: list[LabelValues | None], timed: list[LabelValues | None], max_bytes: int
) -> None:
    snapshot = families(counted, timed)
    parts = parts_of(*snapshot, max_bytes=max_bytes)
    found = Counter(each.identity for each in pushed_points(part.payload for part in parts))
    expected = Counter(
        (family.family.name, tuple(sorted(pairs)))
        for family in snapshot
        for pairs in family.label_pairs()
    )
    assert found == expected
    for part in parts:
        assert part.items == count_points(part.payload) > 0
        assert part.oversize is (len(part.payload) > max_bytes)
        assert len(part.payload) <= max_bytes or part.items == 1


def test_a_request_is_filled() -> None:
    labels: list[LabelValues | None] = [("shop", f"/{i}") for i in range(500)]
    parts = parts_of(*families(labels, labels), max_bytes=10_000)
    assert all(len(part.payload) > 9_000 for part in parts[:-1])


def test_nothing_gives_no_request() -> None:
    assert parts_of() == []


def test_a_metric_comes_once_a_resource() -> None:
    labels: list[LabelValues | None] = [None, ("shop", "/"), ("", "/"), ("cart", "/")]
    (part,) = parts_of(*families(labels, labels))
    request = ExportMetricsServiceRequest.FromString(part.payload)
    found = [
        (len(of_resource.resource.attributes), metric.name)
        for of_resource in request.resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
    ]
    assert sorted(found) == [(n, name) for n in (1, 2) for name in ("a_total", "b", "c")]


def test_the_slices_of_a_family_are_one_metric() -> None:
    first: list[LabelValues | None] = [("shop", "/"), ("cart", "/")]
    second: list[LabelValues | None] = [("shop", "/2"), ("cart", "/2")]
    slices = [
        s
        for pair in zip(families(first, first), families(second, second), strict=True)
        for s in pair
    ]
    (part,) = parts_of(*slices)
    request = ExportMetricsServiceRequest.FromString(part.payload)
    names = [
        (metric.name, of_resource.resource.attributes[0].value.string_value)
        for of_resource in request.resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
    ]
    assert len(names) == len(set(names))
    assert count_points(part.payload) == 4 * 3
