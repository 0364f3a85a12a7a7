"""`spanmill explain-series` of a process that asks for a token."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from spanmill.cli import explain_series
from spanmill.clock import SystemClock
from spanmill.config.model import PrometheusConfig
from spanmill.exporters.scrape_server import build_scrape_server
from spanmill.series.registry import Registry


@pytest.fixture
def url() -> Iterator[str]:
    clock = SystemClock()
    config = PrometheusConfig.model_validate(
        {"endpoint": "127.0.0.1:0", "auth": {"token": "geheim"}}
    )
    server = build_scrape_server(
        config, Registry(clock), clock, ready=lambda: True, restored=lambda: True
    )
    server.bind()
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop(5)


def explain(url: str) -> int:
    parser = argparse.ArgumentParser()
    explain_series.configure(parser)
    return explain_series.run(parser.parse_args(["--url", url]))


def test_the_environments_token_is_sent(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_AUTH_TOKEN", "geheim")
    assert explain(url) == 0


def test_without_it_the_variable_is_named(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("METRICS_AUTH_TOKEN", raising=False)
    assert explain(url) == explain_series.EXIT_UNREADABLE
    assert "METRICS_AUTH_TOKEN" in capsys.readouterr().err
