from __future__ import annotations

import numpy as np

from exporters.otlp_metrics.decoded import Pushed
from exporters.otlp_metrics.snapshots import NOW, points_of
from exposition_examples import histogram_family, summary_family, values_family
from spanmill.exporters.otlp_metrics.metric import HistogramForm
from spanmill.exporters.otlp_metrics.shown import ShownSeries
from spanmill.series.snapshot import FamilySnapshot, LabelValues, NativeBuckets


def counter(*labels: LabelValues | None, names: tuple[str, ...] = ("job", "b")) -> FamilySnapshot:
    values = [1.0] * len(labels)
    return values_family("x_total", "counter", values, names=names, labels=labels)


def gone(
    before: list[FamilySnapshot], now: list[FamilySnapshot], form: HistogramForm = "native"
) -> list[Pushed]:
    shown = ShownSeries(form)
    shown.replace(before)
    return points_of(gone=shown.gone(now), histograms=form)


def test_a_series_that_disappears_has_no_recorded_value() -> None:
    (stale,) = gone([counter(("a", "1"), ("a", "2"))], [counter(("a", "2"), ("a", "3"))])
    assert stale.gone
    assert stale.attributes == (("b", "1"), ("job", "a"))
    assert stale.resource == (("service.instance.id", "host:9464"),)
    assert (stale.kind, stale.point.time_unix_nano) == ("sum", NOW)
    assert stale.point.WhichOneof("value") is None


def test_nothing_is_gone_where_series_only_join() -> None:
    assert gone([counter(("a", "1"))], [counter(("a", "1"), ("a", "2"), None)]) == []


def test_a_whole_family_can_disappear() -> None:
    found = gone([counter(("a", "1"), None)], [])
    assert [each.attributes for each in found] == [
        (("b", "1"), ("job", "a")),
        (("otel_metric_overflow", "true"),),
    ]


def test_a_series_is_the_same_whatever_labels_others_have() -> None:
    before = [counter(("a", "1"), ("", "2"))]
    now = [counter(("", "1", "a"), names=("c", "b", "job"))]
    assert [each.attributes for each in gone(before, now)] == [(("b", "2"),)]


def test_the_slices_of_a_family_are_compared_as_one() -> None:
    before = [counter(("a", "1"), ("a", "2")), counter(("a", "3"))]
    assert gone(before, [counter(("a", "1")), counter(("a", "2"), ("a", "3"), ("a", "4"))]) == []
    found = gone(before, [counter(("a", "1")), counter(("a", "3"))])
    assert [each.attributes for each in found] == [(("b", "2"), ("job", "a"))]
    assert [len(snapshot.labels) for snapshot in before] == [2, 1], "snapshots stay as they are"


def test_series_are_told_once() -> None:
    shown = ShownSeries("native")
    shown.replace([counter(("a", "1"), ("a", "2"))])
    now = [counter(("a", "2"))]
    assert len(shown.gone(now)) == 1
    assert len(shown.gone(now)) == 1, "as long as nobody says that it was told"
    shown.replace(now)
    assert shown.gone(now) == []


def test_a_classic_histogram_names_all_buckets_that_end() -> None:
    family = histogram_family("h", (0.5, 1.0), [[1, 2, 3]], [2.0])
    (stale,) = gone([family], [], "classic")
    assert list(stale.point.explicit_bounds) == [0.5, 1.0]
    assert list(stale.point.bucket_counts) == [0, 0, 0]
    assert stale.point.HasField("sum")
    assert stale.gone


def test_a_native_histogram_and_a_summary_end_too() -> None:
    native = [NativeBuckets(3, 0.0, 1, np.array([2.0]))]
    histogram = histogram_family("h", (1.0,), [[2, 0]], [1.0], native=native)
    summary = summary_family("s", (0.5, 0.9), [[1.0, 2.0]], [3], [4.0])
    first, second = gone([histogram, summary], [])
    assert (first.kind, first.gone) == ("exponential_histogram", True)
    assert (second.kind, second.gone) == ("summary", True)
    assert [each.quantile for each in second.point.quantile_values] == [0.5, 0.9]


def test_families_with_series_of_several_shapes_are_compared_as_one() -> None:
    def shape(bound: float, label: str) -> FamilySnapshot:
        return histogram_family("h", (bound,), [[1, 0]], [1.0], names=("a",), labels=[(label,)])

    before = [shape(1.0, "1"), shape(2.0, "2")]
    (stale,) = gone(before, [shape(1.0, "1")])
    assert (stale.attributes, list(stale.point.explicit_bounds)) == ((("a", "2"),), [2.0])
