"""What is shown of resources."""

from __future__ import annotations

from collections.abc import Mapping

from spanmill.clock import SystemClock
from spanmill.processors.target_info import TargetInfo
from spanmill.series.registry import Registry
from spanmill.spans.batch import AttributeValue
from spanmill.testing import Span, batch_of

SECOND = 10**9
START = 10**18


class Targets:
    def __init__(self) -> None:
        self.registry = Registry(SystemClock())
        self.processor = TargetInfo(self.registry, 60 * SECOND)

    def observe(self, *resources: Mapping[str, AttributeValue], at: int = START) -> Targets:
        self.processor.observe(batch_of([Span(resource=r) for r in resources], (), at))
        return self

    def shown(self) -> list[dict[str, str]]:
        return [
            dict(pairs) for family in self.registry.snapshot() for pairs in family.label_pairs()
        ]


def test_a_resource_has_one_series_with_its_attributes() -> None:
    resource = {"service.namespace": "eu", "service.instance.id": "1", "host.name": "a"}
    targets = Targets().observe(resource, resource).observe(resource)
    assert targets.shown() == [{"job": "eu/shop", "instance": "1", "host_name": "a"}]


def test_the_attributes_that_came_last_are_shown() -> None:
    targets = Targets().observe({"service.instance.id": "1", "version": "1"})
    targets.observe({"service.instance.id": "1", "version": "2"})
    assert targets.shown() == [{"job": "shop", "instance": "1", "version": "2"}]


def test_resources_without_an_instance_are_told_apart_by_their_attributes() -> None:
    targets = Targets().observe({"host.name": "a"}, {"host.name": "b"}, {"host.name": "a"})
    assert targets.shown() == [
        {"job": "shop", "host_name": "a"},
        {"job": "shop", "host_name": "b"},
    ]


def test_a_silent_resource_disappears() -> None:
    targets = Targets().observe({"service.instance.id": "1", "host.name": "a"})
    targets.observe({"service.instance.id": "2"}, at=START + 50 * SECOND)
    targets.registry.expire(START + 70 * SECOND)
    assert targets.shown() == [{"job": "shop", "instance": "2"}]


def test_an_empty_batch_shows_nothing() -> None:
    assert Targets().observe().shown() == []
