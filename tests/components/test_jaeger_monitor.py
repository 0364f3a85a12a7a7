"""Jaeger's Monitor API gives the right rates, errors and latencies for the replayed shop.

Prometheus is asked by the real Jaeger, with the settings of collector-config/jaeger.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from components.replayed_shop import ReplayedShop
from components.shop import MILLISECOND, OTEL_BOUNDS, Between, ShopSpan, classic_quantile

pytestmark = pytest.mark.components

WINDOW = 600.0
"""Seconds that the rates are taken over: the parameter `ratePer` of Jaeger's page."""
GROUPINGS: Mapping[str, Sequence[str]] = {"false": (), "true": ("name",)}
"""The parameter `groupByOperation`, and the field of spans that it stands for."""


@pytest.fixture(scope="module", params=GROUPINGS, ids=["by service", "by operation"])
def grouping(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def services(replayed: ReplayedShop) -> list[str]:
    return sorted({span.service for span in replayed.shop.spans if is_server(span)})


def is_server(span: ShopSpan) -> bool:
    return span.kind == "SPAN_KIND_SERVER"


def calls(replayed: ReplayedShop, service: str, grouping: str, failed: bool) -> dict[str, int]:
    counted = replayed.shop.calls(
        GROUPINGS[grouping],
        lambda span: is_server(span) and span.service == service and (span.failed or not failed),
    )
    return {"".join(operation): count for operation, count in counted.items()}


def test_call_rates_are_those_of_the_spans(replayed_shop: ReplayedShop, grouping: str) -> None:
    for service in services(replayed_shop):
        shown = replayed_shop.jaeger.monitor(
            "calls", service, replayed_shop.at, groupByOperation=grouping
        )
        right = calls(replayed_shop, service, grouping, failed=False)
        assert {name: rate * WINDOW for name, rate in shown.items()} == pytest.approx(right)


def test_error_rates_are_those_of_the_spans(replayed_shop: ReplayedShop, grouping: str) -> None:
    failing = 0
    for service in services(replayed_shop):
        shown = replayed_shop.jaeger.monitor(
            "errors", service, replayed_shop.at, groupByOperation=grouping
        )
        total = calls(replayed_shop, service, grouping, failed=False)
        failed = calls(replayed_shop, service, grouping, failed=True)
        failing += bool(failed)
        # Jaeger shows 0 for all where nothing failed, and else what failed.
        right = {name: failed[name] / total[name] for name in failed} or dict.fromkeys(total, 0.0)
        assert shown == pytest.approx(right), service
    assert failing


@pytest.mark.parametrize("quantile", [0.5, 0.75, 0.95])
def test_latencies_are_those_of_the_spans(
    replayed_shop: ReplayedShop, grouping: str, quantile: float
) -> None:
    for service in services(replayed_shop):
        shown = replayed_shop.jaeger.monitor(
            "latencies",
            service,
            replayed_shop.at,
            groupByOperation=grouping,
            quantile=str(quantile),
        )
        right = milliseconds(replayed_shop, service, grouping, quantile)
        assert shown.keys() == right.keys()
        for operation, value in right.items():
            assert value.low <= shown[operation] <= value.high, (service, operation)


def milliseconds(
    replayed: ReplayedShop, service: str, grouping: str, quantile: float
) -> dict[str, Between]:
    durations = replayed.shop.durations(
        GROUPINGS[grouping], lambda span: is_server(span) and span.service == service
    )
    found = {}
    for operation, group in durations.items():
        nanoseconds = classic_quantile(quantile, group, OTEL_BOUNDS)
        low, high = nanoseconds.low / MILLISECOND, nanoseconds.high / MILLISECOND
        found["".join(operation)] = Between(low, high)
    return found
