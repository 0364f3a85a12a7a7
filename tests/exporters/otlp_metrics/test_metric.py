from __future__ import annotations

import numpy as np
import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE

from exporters.otlp_metrics.snapshots import points_of
from exposition_examples import histogram_family, summary_family, values_family
from spanmill.series.snapshot import FamilyType, NativeBuckets

NATIVE = [NativeBuckets(3, 0.0, 1, np.array([2.0]))]


@pytest.mark.parametrize(
    ("family_type", "kind"), [("counter", "sum"), ("gauge", "gauge"), ("unknown", "gauge")]
)
def test_values_are_pushed_as_what_keeps_their_name(family_type: FamilyType, kind: str) -> None:
    (pushed,) = points_of(values_family("requests_total", family_type, [3.5], unit="seconds"))
    assert (pushed.name, pushed.kind, pushed.metric.unit) == ("requests_total", kind, "")
    assert pushed.metric.description == "Some help."
    assert pushed.point.as_double == 3.5


def test_counters_are_cumulative_and_monotonic() -> None:
    (pushed,) = points_of(values_family("requests_total", "counter", [3]))
    assert pushed.metric.sum.is_monotonic
    assert pushed.metric.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE


def test_a_histogram_has_the_form_that_was_chosen() -> None:
    family = histogram_family("latency_seconds", (1.0,), [[2, 0]], [1.5], native=NATIVE)
    (native,) = points_of(family, histograms="native")
    (classic,) = points_of(family, histograms="classic")
    assert (native.kind, classic.kind) == ("exponential_histogram", "histogram")
    for temporality in (
        native.metric.exponential_histogram.aggregation_temporality,
        classic.metric.histogram.aggregation_temporality,
    ):
        assert temporality == AGGREGATION_TEMPORALITY_CUMULATIVE


def test_a_histogram_of_one_form_has_that_form() -> None:
    classic = histogram_family("a", (1.0,), [[2, 0]], [1.5])
    native = histogram_family("b", (), [[2]], [1.5], native=NATIVE)
    assert [p.kind for p in points_of(classic, histograms="native")] == ["histogram"]
    assert [p.kind for p in points_of(native, histograms="classic")] == ["exponential_histogram"]


def test_a_summary_is_a_summary() -> None:
    (pushed,) = points_of(summary_family("wait", (0.5, 0.99), [[1.0, 2.0]], [7], [9.5]))
    assert pushed.kind == "summary"
    assert (pushed.point.count, pushed.point.sum) == (7, 9.5)
    found = [(each.quantile, each.value) for each in pushed.point.quantile_values]
    assert found == [(0.5, 1.0), (0.99, 2.0)]
