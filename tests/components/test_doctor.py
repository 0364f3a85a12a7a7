"""`spanmill doctor` beside the real Prometheus and Jaeger, which have the replayed shop."""

from __future__ import annotations

import subprocess

import pytest

from components.processor import SPANMILL
from components.replayed_shop import ReplayedShop

pytestmark = pytest.mark.components

DEADLINE = 60.0


def findings(*arguments: str) -> list[str]:
    finished = subprocess.run(
        [*SPANMILL, "doctor", "--seconds", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert finished.stderr == ""
    return finished.stdout.splitlines()


def lines_of(found: list[str], what: str) -> list[str]:
    return [line for line in found if line[6:].startswith(what)]


def test_every_query_of_grafana_and_jaeger_finds_its_series(replayed_shop: ReplayedShop) -> None:
    found = findings(
        *("--url", f"http://{replayed_shop.spanmill.scrape}"),
        *("--prometheus", replayed_shop.prometheus.url),
        *("--jaeger", replayed_shop.jaeger.url),
    )
    for what in ("Prometheus", "Grafana:", "Jaeger:", "Jaeger's Monitor", "books of spans"):
        lines = lines_of(found, what)
        assert lines, f"{what} was not looked at"
        assert [line for line in lines if not line.startswith("OK ")] == []


def test_a_page_that_is_not_prometheus_is_told(replayed_shop: ReplayedShop) -> None:
    found = findings(
        *("--url", f"http://{replayed_shop.spanmill.scrape}"),
        *("--prometheus", replayed_shop.jaeger.url),
    )
    (line,) = lines_of(found, "Prometheus")
    assert line.startswith("FAIL")
