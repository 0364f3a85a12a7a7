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


def test_a_silent_resource_disappears_also_where_the_clock_was_set_back_by_an_hour() -> None:
    targets = Targets().observe({"service.instance.id": "1"}, {"service.instance.id": "2"})
    start = START - 3600 * SECOND
    targets.registry.expire(start)
    targets.observe({"service.instance.id": "2"}, at=start + 50 * SECOND)
    targets.registry.expire(start + 59 * SECOND)
    assert len(targets.shown()) == 2
    targets.registry.expire(start + 60 * SECOND)
    assert targets.shown() == [{"job": "shop", "instance": "2"}]


def test_an_empty_batch_shows_nothing() -> None:
    assert Targets().observe().shown() == []


def test_a_known_resource_comes_back_with_a_series_of_its_own_after_it_disappeared() -> None:
    targets = Targets()
    batch = batch_of([Span(resource={"service.instance.id": "1"})], (), START)
    targets.processor.observe(batch)
    targets.registry.expire(START + 60 * SECOND)
    assert targets.shown() == []
    targets.processor.observe(batch.arrived(START + 70 * SECOND))
    assert targets.shown() == [{"job": "shop", "instance": "1"}]
    targets.registry.expire(START + 129 * SECOND)
    assert targets.shown() == [{"job": "shop", "instance": "1"}]


def test_a_known_resource_stays_as_long_as_it_sends() -> None:
    targets = Targets()
    batch = batch_of([Span(resource={"service.instance.id": "1"})], (), START)
    for seconds in range(0, 300, 50):
        targets.processor.observe(batch.arrived(START + seconds * SECOND))
        targets.registry.expire(START + seconds * SECOND)
    (family,) = (f for f in targets.registry.snapshot() if f.family.name == "traces_target_info")
    assert family.created.tolist() == [START / 1e9]
