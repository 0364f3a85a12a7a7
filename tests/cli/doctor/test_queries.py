"""What the doctor makes of Prometheus's, Grafana's and Jaeger's answers."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from cli.doctor.pages import Page, served
from components.literal_queries import load
from spanmill.cli.doctor.finding import Finding, Level
from spanmill.cli.doctor.page import Site
from spanmill.cli.doctor.query_checks import (
    check_grafana,
    check_jaeger,
    check_prometheus,
    load_queries,
)

FOUND = json.dumps({"status": "success", "data": {"result": [{"value": [0, "1"]}]}}).encode()
NOTHING = json.dumps({"status": "success", "data": {"result": []}}).encode()
NAN = json.dumps({"status": "success", "data": {"result": [{"value": [0, "NaN"]}]}}).encode()
FLAGS = "created-timestamp-zero-ingestion,exemplar-storage"


def prometheus(found: bytes, flags: str = FLAGS, scraped: bytes = FOUND) -> dict[str, Page]:
    def query(fields: Mapping[str, str]) -> tuple[int, bytes]:
        return 200, scraped if fields["query"] == load_queries()["scraped"] else found

    shown = json.dumps({"data": {"enable-feature": flags}}).encode()
    return {"/api/v1/query": query, "/api/v1/status/flags": lambda _: (200, shown)}


def asked(pages: Mapping[str, Page], off: tuple[str, ...] = (), spans: float = 1) -> list[Finding]:
    with served(pages) as server:
        return list(check_prometheus(Site(server.url), off, spans))


def test_all_is_well_where_every_query_finds_something() -> None:
    findings = asked(prometheus(FOUND))
    assert {f.level for f in findings} == {Level.OK}
    queries = load_queries()
    assert len(findings) == 3 + len(queries["grafana"]) + len(queries["jaeger"])


@pytest.mark.parametrize("answer", [NOTHING, NAN])
def test_a_query_that_finds_nothing_is_told(answer: bytes) -> None:
    findings = [f for f in asked(prometheus(answer)) if f.level is Level.WARN]
    assert any("service graph" in f.what for f in findings)
    assert all("ask Prometheus" in f.mend for f in findings)


def test_what_is_off_in_the_configuration_is_not_missed() -> None:
    found = asked(prometheus(NOTHING), off=("service_graph",))
    assert all(f.level is Level.OK for f in found if "service graph" in f.what)


def test_without_a_span_nothing_can_be_found_yet() -> None:
    assert any("no span came yet" in f.text for f in asked(prometheus(NOTHING), spans=0))


def test_flags_that_prometheus_lacks_are_told() -> None:
    (zeros, exemplars) = [f for f in asked(prometheus(FOUND, flags="")) if f.level is Level.WARN]
    assert "created-timestamp-zero-ingestion" in zeros.mend
    assert "exemplar-storage" in exemplars.mend


def test_a_prometheus_that_does_not_scrape_is_a_failure() -> None:
    (finding,) = asked(prometheus(FOUND, scraped=NOTHING))
    assert finding.level is Level.FAIL
    assert "scrape_configs" in finding.mend


def test_something_else_than_prometheus_is_a_failure() -> None:
    (finding,) = asked({})
    assert finding.level is Level.FAIL
    (finding,) = check_prometheus(Site("http://127.0.0.1:1"), (), 1)
    assert finding.level is Level.FAIL


def grafana(status: int = 200, answer: bytes = FOUND) -> dict[str, Page]:
    return {
        "/api/health": lambda _: (200, b"{}"),
        "/api/datasources/proxy/uid/prometheus/api/v1/query": lambda _: (status, answer),
    }


@pytest.mark.parametrize(
    ("pages", "level"),
    [
        (grafana(), Level.OK),
        (grafana(answer=NOTHING), Level.FAIL),
        (grafana(status=401, answer=b"{}"), Level.WARN),
        ({}, Level.FAIL),
    ],
)
def test_grafana_is_asked_through_its_data_source(pages: Mapping[str, Page], level: Level) -> None:
    with served(pages) as server:
        findings = list(check_grafana(Site(server.url, {"authorization": "Bearer t"})))
        assert server.headers_seen[-1]["authorization"] == "Bearer t"
    assert max(f.level for f in findings) is level


def jaeger(metrics: object, services: object = ("shop",), status: int = 200) -> dict[str, Page]:
    return {
        "/api/services": lambda _: (200, json.dumps({"data": services}).encode()),
        "/api/metrics/calls": lambda _: (status, json.dumps({"metrics": metrics}).encode()),
    }


@pytest.mark.parametrize(
    ("pages", "level"),
    [
        (jaeger([{"labels": []}]), Level.OK),
        (jaeger([]), Level.WARN),
        (jaeger([], status=501), Level.FAIL),
        (jaeger([], services=None), Level.WARN),
        ({}, Level.FAIL),
    ],
)
def test_jaegers_monitor_tab_is_asked_for_a_service(
    pages: Mapping[str, Page], level: Level
) -> None:
    with served(pages) as server:
        assert max(f.level for f in check_jaeger(Site(server.url))) is level


def test_every_query_reads_metrics_that_the_literal_queries_read() -> None:
    """Those are tested against the real programs' sources; these follow them."""
    _, literal = load()
    known = " ".join(each.query for each in literal) + " spanmill_latency_seconds"
    queries = load_queries()
    for entry in (*queries["grafana"], *queries["jaeger"]):
        names = [word for word in _words(entry["query"]) if word.startswith(("traces_", "spanm"))]
        assert names
        assert all(name in known for name in names), entry


def _words(query: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "_" else " " for c in query).split()
