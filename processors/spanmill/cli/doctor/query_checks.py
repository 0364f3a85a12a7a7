"""Whether Grafana's and Jaeger's queries find their series in Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import yaml

from spanmill.cli.doctor.finding import Finding, fail, ok, warn
from spanmill.cli.doctor.page import NoAnswerError, Site

_GRAFANA_SOURCE: Final = "prometheus"
"""The uid of the data source that collector-config/ provisions."""
_ZERO_INGESTION: Final = "created-timestamp-zero-ingestion"
_EXEMPLARS: Final = "exemplar-storage"
_FLAGS_MEND: Final = "start Prometheus with --enable-feature={flag}, see docs/scraping.md"

Ask = Callable[[str], int | str]
"""How many series an expression gives, or why that can't be told."""


def load_queries() -> Mapping[str, Any]:
    """What queries.yaml has."""
    text = files("spanmill.cli.doctor").joinpath("queries.yaml").read_text(encoding="utf-8")
    content: Mapping[str, Any] = yaml.safe_load(text)
    return content


def check_prometheus(site: Site, off: Sequence[str], spans: float) -> Iterator[Finding]:
    """Whether it scrapes spanmill, its flags, and each query of Grafana and Jaeger.

    `off` are the sections of the configuration that are off; `spans` were accepted so far.
    """
    queries = load_queries()

    def ask(expression: str) -> int | str:
        return _series(site, "/api/v1/query", expression)

    scraped = ask(queries["scraped"])
    if isinstance(scraped, str):
        yield fail("Prometheus", f"{site.url}: {scraped}", "is it the URL of Prometheus?")
        return
    if not scraped:
        yield fail(
            "Prometheus",
            "it knows no spanmill",
            "add the scrape endpoint to its scrape_configs, see collector-config/prometheus.yml",
        )
        return
    yield ok("Prometheus", f"scrapes {scraped} spanmill")
    yield from _flags(site)
    for program in ("grafana", "jaeger"):
        yield from _ask_each(program.capitalize(), queries[program], ask, off, spans)


def check_grafana(site: Site) -> Iterator[Finding]:
    """Whether it lives, and its data source finds spanmill's series."""
    try:
        health = site.get("/api/health")
    except NoAnswerError as error:
        yield fail("Grafana", f"{site.url}: {error}", "is it the URL of Grafana?")
        return
    if health.status != 200:
        yield fail("Grafana", f"answers {health.status}", "is it the URL of Grafana?")
        return
    yield ok("Grafana", "lives")
    expression = load_queries()["scraped"]
    path = f"/api/datasources/proxy/uid/{_GRAFANA_SOURCE}/api/v1/query"
    found = _series(site, path, expression)
    if isinstance(found, str):
        yield warn(
            "Grafana's Prometheus",
            found,
            f"is there a data source with the uid {_GRAFANA_SOURCE}? A login goes into "
            "GRAFANA_TOKEN",
        )
    elif not found:
        yield fail("Grafana's Prometheus", "knows no spanmill", "point it to the right Prometheus")
    else:
        yield ok("Grafana's Prometheus", "finds spanmill's series")


def check_jaeger(site: Site) -> Iterator[Finding]:
    """Whether its Monitor tab finds rates for one of the services that it knows."""
    try:
        services = site.get("/api/services")
    except NoAnswerError as error:
        yield fail("Jaeger", f"{site.url}: {error}", "is it the URL of Jaeger's query page?")
        return
    answer = services.json()
    names = answer.get("data") if isinstance(answer, dict) else None
    if services.status != 200 or not isinstance(answer, dict):
        yield fail("Jaeger", f"answers {services.status}", "is it the URL of Jaeger's query page?")
        return
    if not names:
        yield warn("Jaeger", "it has no traces yet", "send some, or look at its destination above")
        return
    yield ok("Jaeger", f"has traces of {len(names)} services")
    yield _monitor(site, [str(name) for name in names])


def _monitor(site: Site, services: Sequence[str]) -> Finding:
    fields = {
        "endTs": str(round(time.time() * 1000)),
        "lookback": "3600000",
        "step": "60000",
        "ratePer": "600000",
    }
    for service in services:
        try:
            # The page asks for the kind `server`; several are asked for with one key each.
            answer = site.get(
                "/api/metrics/calls", {**fields, "service": service, "spanKind": "server"}
            )
        except NoAnswerError as error:
            return fail("Jaeger's Monitor", str(error), "the log of Jaeger says why")
        if answer.status != 200:
            return fail(
                "Jaeger's Monitor",
                f"answers {answer.status}",
                "give it a metric_backend, see collector-config/jaeger.yaml",
            )
        content = answer.json()
        if isinstance(content, dict) and content.get("metrics"):
            return ok("Jaeger's Monitor", f"finds rates, such as those of {service}")
    return warn(
        "Jaeger's Monitor",
        "finds no rates of server spans",
        "its metric_backend needs metric_namespace: traces_span_metrics, see "
        "collector-config/jaeger.yaml",
    )


def _ask_each(
    program: str,
    queries: Sequence[Mapping[str, str]],
    ask: Ask,
    off: Sequence[str],
    spans: float,
) -> Iterator[Finding]:
    for query in queries:
        what = f"{program}: {query['shows']}"
        if query.get("needs") in off:
            yield ok(what, f"{query['needs']} is off in the configuration")
            continue
        found = ask(query["query"])
        if isinstance(found, str):
            yield fail(what, found, f"ask Prometheus yourself: {query['query']}")
        elif found:
            yield ok(what, f"{found} series")
        elif not spans:
            yield warn(what, "no series, for no span came yet", "send some")
        else:
            yield warn(
                what,
                "finds no series",
                f"wait for two scrapes with traffic, then ask Prometheus: {query['query']}",
            )


def _flags(site: Site) -> Iterator[Finding]:
    try:
        content = site.get("/api/v1/status/flags").json()
    except NoAnswerError:
        return
    if not isinstance(content, dict) or not isinstance(content.get("data"), dict):
        return  # something that speaks Prometheus's language, but isn't it
    enabled = str(content["data"].get("enable-feature", ""))
    for flag, without in (
        (_ZERO_INGESTION, "rate() misses the first increment of every new series"),
        (_EXEMPLARS, "exemplars are dropped"),
    ):
        if flag in enabled:
            yield ok("Prometheus", f"{flag} is on")
        else:
            yield warn("Prometheus", f"{without}: {flag} is off", _FLAGS_MEND.format(flag=flag))


def _series(site: Site, path: str, expression: str) -> int | str:
    try:
        answer = site.get(path, {"query": expression})
    except NoAnswerError as error:
        return str(error)
    content = answer.json()
    if not isinstance(content, dict) or content.get("status") != "success":
        told = content.get("error") if isinstance(content, dict) else None
        return f"answers {answer.status}" + (f": {told}" if told else "")
    return sum(1 for each in content["data"]["result"] if _has_value(each))


def _has_value(series: Mapping[str, Any]) -> bool:
    return "histogram" in series or series.get("value", [0, "NaN"])[1] != "NaN"
