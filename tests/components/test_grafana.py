"""Grafana's provisioning: its form, its wiring, and every panel's query on a live Prometheus.

Grafana itself is not run: it can be built neither from modules nor from a package.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from components.prometheus import Prometheus
from components.replayed_shop import ReplayedShop
from components.shipped import COLLECTOR_CONFIG, PROJECT, load_yaml

GRAFANA = COLLECTOR_CONFIG / "grafana"
SOURCES: list[dict[str, Any]] = load_yaml(GRAFANA / "provisioning/datasources/spanmill.yaml")[
    "datasources"
]
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards/spanmill.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
WIDTH = 24

VARIABLES = {"$service": ".*", "$__rate_interval": "1m", "$__range": "30m"}
"""What Grafana puts into a query with all services chosen and the shipped time range."""

RARE = {"sum by (reason) (rate(spanmill_receiver_refused_items_total[$__rate_interval]))"}
"""Queries that give nothing while nothing goes wrong."""


def source(uid: str) -> dict[str, Any]:
    return next(each for each in SOURCES if each["uid"] == uid)


SPAN_TO_METRICS: dict[str, Any] = source("tempo")["jsonData"]["tracesToMetrics"]


def test_every_named_data_source_is_provisioned() -> None:
    there = {each["uid"] for each in SOURCES}
    assert set(named_sources(SOURCES)) <= there
    assert set(named_sources(DASHBOARD)) <= there


def named_sources(node: object) -> Iterator[str]:
    """Every uid that something in these settings refers to."""
    if isinstance(node, list):
        for child in node:
            yield from named_sources(child)
    elif isinstance(node, dict):
        if "datasourceUid" in node:
            yield node["datasourceUid"]
        if isinstance(node.get("datasource"), dict):
            yield node["datasource"]["uid"]
        for child in node.values():
            yield from named_sources(child)


def test_the_urls_are_those_of_the_compose_file() -> None:
    services = load_yaml(PROJECT / "compose.yaml")["services"]
    for each in SOURCES:
        host, port = re.fullmatch(r"http://(\w+):(\d+)", each["url"]).groups()  # type: ignore[union-attr] # no match fails the test
        assert any(published.endswith(f":{port}") for published in services[host]["ports"])


def test_an_exemplar_opens_its_trace() -> None:
    (destination,) = source("prometheus")["jsonData"]["exemplarTraceIdDestinations"]
    assert destination["name"] == "trace_id"
    assert source(destination["datasourceUid"])["type"] == "tempo"


def test_the_service_map_is_read_from_prometheus() -> None:
    assert source(source("tempo")["jsonData"]["serviceMap"]["datasourceUid"])["type"] == (
        "prometheus"
    )


def test_the_interval_is_that_of_the_scrape() -> None:
    scrape = load_yaml(COLLECTOR_CONFIG / "prometheus.yml")["global"]["scrape_interval"]
    assert source("prometheus")["jsonData"]["timeInterval"] == scrape


def test_the_dashboard_is_where_its_provider_looks() -> None:
    (provider,) = load_yaml(GRAFANA / "provisioning/dashboards/spanmill.yaml")["providers"]
    volumes = load_yaml(PROJECT / "compose.yaml")["services"]["grafana"]["volumes"]
    assert f"./collector-config/grafana/dashboards:{provider['options']['path']}:ro" in volumes


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_every_panel_says_what_it_shows() -> None:
    assert [panel["title"] for panel in PANELS if not panel.get("description")] == []


def filled_in(expression: str, variables: Mapping[str, str]) -> str:
    for name in sorted(variables, key=len, reverse=True):
        expression = expression.replace(name, variables[name])
    assert "$" not in expression, f"nothing is known to put in: {expression}"
    return expression


def queries() -> list[tuple[str, str]]:
    """Title and query of everything in the dashboard that asks Prometheus."""
    return [
        (panel["title"], target["expr"])
        for panel in PANELS
        for target in panel["targets"]
        if target["datasource"]["uid"] == "prometheus"
    ]


@pytest.mark.components
@pytest.mark.parametrize(("title", "expression"), queries(), ids=lambda value: value[:40])
def test_every_panel_has_data(replayed_shop: ReplayedShop, title: str, expression: str) -> None:
    shown = finite(replayed_shop.prometheus, filled_in(expression, VARIABLES), replayed_shop.at)
    assert shown or expression in RARE, f"{title} is empty"


def finite(prometheus: Prometheus, expression: str, at: float) -> int:
    """How many series `expression` gives that have a value, or are histograms."""
    return sum(
        "histogram" in series or not math.isnan(float(series["value"][1]))
        for series in prometheus.series(expression, at)
    )


@pytest.mark.components
def test_the_variable_lists_every_service(replayed_shop: ReplayedShop) -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr] # no match fails the test
    services = {span.service for span in replayed_shop.shop.spans}
    assert replayed_shop.prometheus.label_values(label, metric) == services


@pytest.mark.components
@pytest.mark.parametrize(
    "query",
    source("tempo")["jsonData"]["tracesToMetrics"]["queries"],
    ids=lambda each: each["name"],
)
def test_a_span_leads_to_its_metrics(replayed_shop: ReplayedShop, query: dict[str, str]) -> None:
    # As Grafana reads the file, and fills in a span of the shop.
    settings = source("tempo")["jsonData"]["tracesToMetrics"]
    ((key, label),) = [(tag["key"], tag["value"]) for tag in settings["tags"]]
    assert key == "service.name"
    span = next(span for span in replayed_shop.shop.spans if span.failed)
    expression = filled_in(
        query["query"].replace("$$", "$"),
        {**VARIABLES, "$__tags": f'{label}="{span.service}"', "${__span.name}": span.name},
    )
    assert finite(replayed_shop.prometheus, expression, replayed_shop.at)
