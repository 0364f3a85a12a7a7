"""Resources in Prometheus's terms."""

from __future__ import annotations

import pytest

from spanmill.series.label_values import MAX_LENGTH
from spanmill.series.targets import (
    MAX_BYTES,
    MAX_INFO_LABELS,
    MAX_TARGETS,
    Target,
    Targets,
    info_labels,
    instance_of,
    job_of,
    service_of,
)
from spanmill.spans.batch import AttributeValue, Resource


def test_job_is_namespace_and_name_and_instance_is_the_instance_id() -> None:
    resource = {
        "service.name": "cart",
        "service.namespace": "shop",
        "service.instance.id": "cart-1",
    }
    assert (service_of(resource), job_of(resource)) == ("cart", "shop/cart")
    assert instance_of(resource) == "cart-1"
    assert info_labels(resource) == ()


def test_a_resource_without_a_name_is_an_unknown_service() -> None:
    for nameless in ({}, {"service.name": ""}, {"service.name": None}):
        assert service_of(nameless) == job_of(nameless) == "unknown_service"
    assert instance_of({}) == ""


def test_a_name_of_another_type_becomes_text() -> None:
    assert job_of({"service.name": 7, "service.namespace": True}) == "true/7"


def test_attributes_become_labels_in_order_of_their_names() -> None:
    labels = info_labels({"k8s.pod.name": "cart-1", "9lives": 9, "empty": "", "cloud.zone": "a"})
    assert labels == (("cloud_zone", "a"), ("k8s_pod_name", "cart-1"), ("key_9lives", "9"))


def test_keys_that_become_one_name_share_it_in_the_order_of_the_keys() -> None:
    assert info_labels({"a_b": "2", "a.b": "1"}) == (("a_b", "1;2"),)


def test_names_that_prometheus_keeps_for_itself_are_not_taken() -> None:
    labels = dict(info_labels({"job": "x", "instance": "y", "__name__": "z"}))
    assert labels == {"exported_job": "x", "exported_instance": "y", "key__name__": "z"}


def test_hostile_resources_stay_small() -> None:
    labels = info_labels({f"key{n:04}": "v" * 10_000 for n in range(1000)})
    assert len(labels) == MAX_INFO_LABELS
    assert all(len(value) == MAX_LENGTH for _, value in labels)


def test_a_known_resource_has_the_target_that_it_had() -> None:
    targets = Targets(Target)
    resource = Resource({"service.name": "cart", "service.instance.id": "1", "host.name": "a"})
    target = targets.of(resource)
    assert (target.service, target.job, target.instance) == ("cart", "cart", "1")
    assert target.info == (("host_name", "a"),)
    assert targets.of(resource) is target
    assert targets.of(Resource(resource.attributes)) is not target


def test_so_many_targets_are_remembered() -> None:
    targets = Targets(Target)
    resources = [Resource({"service.name": str(n)}) for n in range(3 * MAX_TARGETS)]
    for resource in resources:
        assert targets.of(resource).service == resource.attributes["service.name"]
        assert len(targets) <= MAX_TARGETS


@pytest.mark.parametrize(
    "large", ["x" * 40_000, b"x" * 40_000, ("x" * 40_000,), {"deep": ("x" * 40_000,)}]
)
def test_large_attributes_are_remembered_only_up_to_their_bound(large: AttributeValue) -> None:
    targets = Targets(Target)
    resources = [Resource({"service.name": "cart", "large": large}) for _ in range(1_000)]
    for resource in resources:
        targets.of(resource)
        assert len(targets) * 40_000 <= MAX_BYTES
