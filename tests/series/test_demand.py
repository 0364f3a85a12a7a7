"""What is asked for beyond the limit, and by whom."""

from __future__ import annotations

import pytest

from series.label_traffic import IDLE, TICK, Traffic
from spanmill.clock import SystemClock
from spanmill.series.demand import Demand
from spanmill.series.limit_gauges import declare_limits, series_demand
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Values


def overflowing(names: int, limit: int = 100) -> Traffic:
    """A limit that is reached by one service, and another that asks for many more."""
    traffic = Traffic(limit)
    traffic.send({f"op{i}": 5 for i in range(limit)})
    traffic.send([f"checkout/{i}" for i in range(names)])
    traffic.tick()
    return traffic


def demand_of(traffic: Traffic) -> Demand:
    demand = traffic.sets.demand()
    assert demand is not None
    return demand


def test_below_the_limit_the_demand_is_exact_and_nothing_is_estimated() -> None:
    traffic = Traffic(100)
    traffic.tick(3, {f"op{i}": 5 for i in range(100)})
    assert traffic.sets.demand() is None
    assert series_demand(traffic.sets) == 100


@pytest.mark.parametrize("names", [10, 1_000, 30_000])
def test_the_demand_is_told_within_its_error(names: int) -> None:
    demand = demand_of(overflowing(names))
    margin = 4 * demand.error_ratio
    assert demand.label_sets == pytest.approx(100 + names, rel=margin, abs=1)
    by_label = {label.label: label.values for label in demand.labels}
    assert by_label["span_name"] == pytest.approx(100 + names, rel=margin, abs=1)
    assert by_label["service"] == 2


def test_the_service_that_asks_for_most_is_named_with_its_label_and_examples() -> None:
    demand = demand_of(overflowing(10_000))
    assert [service.service for service in demand.services] == ["checkout"]
    (checkout,) = demand.services
    margin = 4 * demand.service_error_ratio
    assert checkout.label_sets == pytest.approx(10_000, rel=margin)
    driving = checkout.labels[0]
    assert driving.label == "span_name"
    assert driving.values == pytest.approx(10_000, rel=margin)
    assert driving.examples
    assert all(example.startswith("checkout/") for example in driving.examples)
    assert all(key[0] == "checkout" for key in demand.examples)


def test_at_most_five_services_are_named() -> None:
    traffic = Traffic(1)
    traffic.send([f"service{i % 9}/{i}" for i in range(5_000)])
    traffic.tick()
    assert len(demand_of(traffic).services) == 5


def test_where_every_service_asks_for_little_none_is_blamed() -> None:
    traffic = Traffic(1)
    for part in range(10):
        traffic.send([f"service{i}/{part}" for i in range(5_000)])
    traffic.tick()
    demand = demand_of(traffic)
    assert demand.services == ()
    assert demand.labels[1].label == "service"
    assert demand.labels[1].values == pytest.approx(5_000, rel=0.07)


def test_the_offender_is_found_among_very_many_services() -> None:
    traffic = Traffic(10)
    for part in range(20):
        few = [f"service{part}-{i}/x" for i in range(500)]
        traffic.send([*few, *(f"checkout/{part}-{i}" for i in range(500))])
        traffic.tick()
    assert [service.service for service in demand_of(traffic).services] == ["checkout"]


def test_an_offender_of_now_is_found_beside_those_of_an_hour_ago() -> None:
    traffic = Traffic(1)
    traffic.send(["own"])
    for part in range(16):
        traffic.send([f"service{part}/{i}" for i in range(1_000)])
    traffic.tick(360, {"own": 50, "service0/0": 1})
    traffic.tick(1, {f"checkout/{i}": 1 for i in range(100)})
    assert "checkout" in {service.service for service in demand_of(traffic).services}


def test_what_is_not_asked_for_any_more_leaves_the_demand() -> None:
    traffic = overflowing(10_000)
    ticks = 2 * IDLE // TICK
    traffic.tick(ticks, {**{f"op{i}": 5 for i in range(100)}, "other": 1})
    demand = demand_of(traffic)
    assert 100 <= demand.label_sets <= 110
    assert not any(service.service == "checkout" for service in demand.services)


def test_when_the_overflow_is_over_the_demand_is_exact_again() -> None:
    traffic = overflowing(10_000)
    traffic.tick(IDLE // TICK + 1, {f"op{i}": 5 for i in range(100)})
    assert traffic.sets.demand() is None
    assert traffic.sets._tail is None
    assert series_demand(traffic.sets) == 100


def test_those_that_lost_a_series_still_belong_to_the_demand_as_long_as_they_come() -> None:
    traffic = overflowing(1_000)
    busy = {f"checkout/{i}": 100 for i in range(50)}
    traffic.tick(30, {**{f"op{i}": 1 for i in range(100)}, **busy})
    assert traffic.sets.exchanged >= 10
    assert demand_of(traffic).label_sets == pytest.approx(1_100, rel=0.07)


def shown(registry: Registry, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    for family in registry.snapshot():
        if family.family.name == name:
            assert isinstance(family.data, Values)
            return dict(zip(family.label_pairs(), family.data.values.tolist(), strict=True))
    return {}


def test_the_metrics_name_labels_and_services_only_in_overflow() -> None:
    registry = Registry(SystemClock())
    declare_limits(registry)
    traffic = Traffic(2)
    traffic.sets = registry.label_sets(("service", "span_name"), 2, IDLE, "span_metrics")
    traffic.calls.__init__(traffic.sets)  # type: ignore[misc]  # its rows move to other label sets
    one = (("processor", "span_metrics"),)
    traffic.send(["a", "b"])
    traffic.tick()
    assert shown(registry, "spanmill_series") == {one: 2}
    assert shown(registry, "spanmill_series_limit") == {one: 2}
    assert shown(registry, "spanmill_series_demand") == {one: 2}
    assert shown(registry, "spanmill_series_demand_error_ratio") == {one: 0}
    assert shown(registry, "spanmill_series_label_values") == {}
    traffic.tick(1, dict.fromkeys(["checkout/1", "checkout/2", "checkout/3"], 1))
    assert shown(registry, "spanmill_series_demand") == {one: 5}
    assert shown(registry, "spanmill_series_demand_error_ratio")[one] == pytest.approx(0.01625)
    assert shown(registry, "spanmill_series_label_values") == {
        (*one, ("label", "span_name")): 5,
        (*one, ("label", "service")): 2,
    }
    assert shown(registry, "spanmill_series_offender_demand") == {
        (*one, ("service", "checkout")): 3
    }
    traffic.tick(IDLE // TICK)
    assert shown(registry, "spanmill_series_offender_demand") == {}
