from __future__ import annotations

from exporters.otlp_metrics.snapshots import points_of
from exposition_examples import HOSTILE, values_family
from spanmill.series.snapshot import LabelValues

PROCESS = (("service.instance.id", "host:9464"), ("service.name", "spanmill"))
NAMES = ("job", "instance", "route")


def resource_of(labels: LabelValues | None) -> tuple[tuple[str, str], ...]:
    (pushed,) = points_of(values_family("x", "gauge", [1], names=NAMES, labels=[labels]))
    return pushed.resource


def test_labels_are_attributes_and_empty_ones_are_none() -> None:
    family = values_family("x", "gauge", [1], names=("a", "b", "c"), labels=[("1", "", HOSTILE)])
    (pushed,) = points_of(family)
    assert pushed.attributes == (("a", "1"), ("c", HOSTILE))


def test_the_overflow_series_is_marked() -> None:
    (pushed,) = points_of(values_family("x", "gauge", [1], names=NAMES, labels=[None]))
    assert pushed.attributes == (("otel_metric_overflow", "true"),)
    assert pushed.resource == PROCESS


def test_the_resource_is_this_process() -> None:
    assert resource_of(("", "", "/")) == PROCESS


def test_the_resource_leaves_out_what_a_series_says_itself() -> None:
    instance, name = PROCESS
    assert resource_of(("shop", "", "/")) == (instance,)
    assert resource_of(("", "shop-1", "/")) == (name,)
    assert resource_of(("shop", "shop-1", "/")) == ()


def test_series_of_one_family_go_under_their_resources() -> None:
    labels = [("shop", "", "/"), None, ("", "", "/"), ("cart", "", "/")]
    pushed = points_of(values_family("x", "gauge", [1, 2, 3, 4], names=NAMES, labels=labels))
    assert {(p.resource, p.point.as_double) for p in pushed} == {
        (PROCESS[:1], 1.0),
        (PROCESS, 2.0),
        (PROCESS, 3.0),
        (PROCESS[:1], 4.0),
    }
