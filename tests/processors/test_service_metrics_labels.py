"""The labels of what services send."""

from __future__ import annotations

import pytest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope

from points.otlp_metrics import (
    DELTA,
    NOW,
    SECOND,
    Scalar,
    buckets,
    counter,
    exemplar,
    gauge,
    histogram,
    number,
    pairs,
    quantiles,
    request,
    summary,
)
from processors.shown_metrics import Pairs, Shown
from spanmill.series.snapshot import Values

NOBODY: dict[str, Scalar | None] = {}


def labels_of(
    attributes: dict[str, Scalar | None], resource: dict[str, Scalar | None] = NOBODY
) -> Pairs:
    """The labels of a gauge's only series."""
    shown = Shown()
    shown.send(request(gauge(number(1, attributes=attributes)), resource=resource))
    shown.scrape()
    (labels,) = shown.labels("g")
    return labels


def test_attributes_are_labels_in_alphabetical_order() -> None:
    assert labels_of({"b.c": "1", "a": "2"}) == (("a", "2"), ("b_c", "1"))


def test_values_of_every_type_are_text() -> None:
    attributes: dict[str, Scalar | None] = {"b": True, "d": 1.5, "i": 7, "y": b"\0\1"}
    assert labels_of(attributes) == (("b", "true"), ("d", "1.5"), ("i", "7"), ("y", "AAE="))


def test_keys_that_become_one_label_are_joined_in_the_order_of_the_keys() -> None:
    assert labels_of({"a_b": "2", "a.b": "1", "a/b": "3"}) == (("a_b", "1;3;2"),)


def test_empty_values_are_no_labels() -> None:
    assert labels_of({"a": "", "b": None, "k": "v"}) == (("k", "v"),)


def test_long_values_are_cut() -> None:
    (_, one), (_, joined) = labels_of({"a": "x" * 10_000, "b.c": "y" * 1000, "b/c": "z" * 1000})
    assert one[:1012] == "x" * 1011 + "~"
    assert joined[:1012] == "y" * 1000 + ";" + "z" * 10 + "~"
    assert len(one) == len(joined) == 1024


def test_series_stay_apart_whose_keys_or_values_cant_be_shown_whole() -> None:
    shown = Shown()
    apart: list[dict[str, Scalar | None]] = [
        {"город": "A"},
        {"город": "B"},
        {"城市": "C"},
        {"": "D"},
        {"__name__": "E"},
        {"k" * 2000: "F"},
        {"long": "x" * 1024 + "1"},
        {"long": "x" * 1024 + "2"},
    ]
    points = [number(float(i), attributes=attributes) for i, attributes in enumerate(apart)]
    changes = [number(float(i), attributes=attributes) for i, attributes in enumerate(apart)]
    shown.send(request(gauge(*points), counter(*changes, temporality=DELTA)))
    shown.scrape()
    assert sorted(shown.values("g").values()) == list(range(len(apart)))
    assert sorted(shown.values("c_total").values()) == list(range(len(apart)))
    assert shown.filtered() == {}


@pytest.mark.parametrize("value", ['"', "\\", "\n", "\u202e", "\0", "\\n", "\x85", "{"])
def test_any_character_of_a_value_is_shown(value: str) -> None:
    assert labels_of({"k": value}) == (("k", value),)


@pytest.mark.parametrize("key", ["__name__", "__address__", "__x"])
def test_names_that_prometheus_keeps_for_itself_are_never_shown_as_they_are(key: str) -> None:
    assert all(not name.startswith("__") for name, _ in labels_of({key: "x", "k": "v"}))


def test_job_and_instance_are_the_senders() -> None:
    resource: dict[str, Scalar | None] = {
        "service.name": "cart",
        "service.namespace": "shop",
        "service.instance.id": "i1",
    }
    attributes: dict[str, Scalar | None] = {"job": "mine", "instance": "x", "exported_job": "y"}
    assert labels_of(attributes, resource) == (
        ("exported_instance", "x"),
        ("exported_job", "y;mine"),
        ("instance", "i1"),
        ("job", "shop/cart"),
    )


@pytest.mark.parametrize(
    ("resource", "job"),
    [
        ({"service.name": "cart"}, "cart"),
        ({"service.name": "cart", "service.namespace": ""}, "cart"),
        ({"service.name": 7}, "7"),
        ({"service.name": ""}, None),
        ({"service.namespace": "shop"}, None),
        ({}, None),
    ],
)
def test_a_service_without_a_name_has_no_job(
    resource: dict[str, Scalar | None], job: str | None
) -> None:
    assert dict(labels_of({"k": "v"}, resource)).get("job") == job


def test_without_a_sender_an_attribute_may_be_the_job() -> None:
    assert labels_of({"job": "mine"}) == (("job", "mine"),)


def test_le_and_quantile_give_way_where_they_have_a_meaning() -> None:
    shown = Shown()
    point = quantiles([(0.5, 1.0)])
    point.attributes.extend(pairs({"quantile": "q", "le": "1"}))
    shown.send(
        request(
            histogram(buckets([1.0], [1, 1], attributes={"le": "1", "quantile": "q"})),
            gauge(number(1, attributes={"le": "1", "quantile": "q"})),
            summary(point),
            resource=NOBODY,
        )
    )
    shown.scrape()
    assert shown.labels("h") == [(("exported_le", "1"), ("quantile", "q"))]
    assert shown.labels("g") == [(("le", "1"), ("quantile", "q"))]
    assert shown.labels("s") == [(("exported_quantile", "q"), ("le", "1"))]


def test_the_scope_is_in_labels() -> None:
    shown = Shown()
    scope = InstrumentationScope(
        name="lib", version="1.2", attributes=pairs({"a.b": "x", "name": "y"})
    )
    shown.send(
        request(
            gauge(number(1, attributes={"otel_scope_name": "mine"})),
            resource=NOBODY,
            scope=scope,
        )
    )
    assert shown.labels("g") == [
        (
            ("exported_otel_scope_name", "mine"),
            ("otel_scope_a_b", "x"),
            ("otel_scope_name", "lib"),
            ("otel_scope_version", "1.2"),
        )
    ]


def test_series_that_differ_only_in_what_no_label_shows_are_one() -> None:
    shown = Shown()
    whole, text = number(0, attributes={"k": 1}), number(1, time=NOW + 1, attributes={"k": "1"})
    shown.send(request(gauge(whole, text)), arrival=NOW + SECOND)
    assert list(shown.values("g").values()) == [1.0]


def test_target_info_has_the_other_attributes_of_the_resource() -> None:
    shown = Shown()
    resource: dict[str, Scalar | None] = {
        "service.name": "cart",
        "service.instance.id": "i1",
        "host.name": "h",
        "job": "x",
    }
    shown.send(request(gauge(number(1)), resource=resource))
    assert shown.values("target_info") == {
        (("exported_job", "x"), ("host_name", "h"), ("instance", "i1"), ("job", "cart")): 1.0
    }
    assert shown.books() == {"counted_own": 1}


@pytest.mark.parametrize("resource", [{"service.name": "cart"}, {"host.name": "h"}, {}])
def test_a_resource_with_nothing_to_join_has_no_target_info(
    resource: dict[str, Scalar | None],
) -> None:
    shown = Shown()
    shown.send(request(gauge(number(1)), resource=resource))
    with pytest.raises(AssertionError, match="isn't shown"):
        shown.snapshots("target_info")


def test_one_sender_has_one_target_info_the_latest() -> None:
    shown = Shown()
    for version in ("1", "2", "1", "3"):
        resource: dict[str, Scalar | None] = {"service.name": "cart", "service.version": version}
        shown.send(request(gauge(number(1)), resource=resource))
    assert shown.labels("target_info") == [(("job", "cart"), ("service_version", "3"))]


def test_target_info_stays_as_long_as_its_sender_sends() -> None:
    shown = Shown(stale_after_ns=60 * SECOND)
    resource: dict[str, Scalar | None] = {"service.name": "cart", "host.name": "h"}
    for second in range(0, 300, 30):
        arrival = NOW + second * SECOND
        shown.send(request(gauge(number(1, time=arrival)), resource=resource), arrival=arrival)
        shown.tick(arrival)
    assert len(shown.labels("target_info")) == 1
    shown.tick(NOW + 330 * SECOND)
    assert shown.names() == []
    with pytest.raises(AssertionError, match="isn't shown"):
        shown.snapshots("target_info")


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"user.id": "u"}, ["trace_id", "span_id", "user_id"]),
        ({"user.id": "u" * 100}, ["trace_id", "span_id"]),
        ({"trace_id": "mine"}, ["trace_id", "span_id", "exported_trace_id"]),
    ],
)
def test_an_exemplar_has_the_other_attributes_where_they_fit(
    attributes: dict[str, Scalar | None], expected: list[str]
) -> None:
    shown = Shown()
    shown.send(request(counter(number(1, exemplars=[exemplar(1.0, attributes=attributes)]))))
    data = shown.snapshots("c_total")[0].data
    assert isinstance(data, Values)
    assert [name for name, _ in data.exemplars[0].labels] == expected
    shown.scrape()


def test_an_exemplar_outside_of_a_trace_has_no_ids() -> None:
    shown = Shown()
    plain = exemplar(1.0, trace=bytes(16), attributes={"k": "v"})
    shown.send(request(counter(number(1, exemplars=[plain]))))
    data = shown.snapshots("c_total")[0].data
    assert isinstance(data, Values)
    assert data.exemplars[0].labels == (("k", "v"),)
