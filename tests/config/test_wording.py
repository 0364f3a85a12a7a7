from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from spanmill.config.load import LoadedConfig

Load = Callable[..., LoadedConfig]
Problems = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("recievers", "receivers"),
        ("Log", "log"),
        ("span-metrics", "span_metrics"),
        ("shutdown_timout", "shutdown_timeout"),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_valid_one(
    problems: Problems, key: str, near: str
) -> None:
    assert problems(f"{key}: 1\n") == [
        f"spanmill.yaml:1: {key}: unknown key; did you mean '{near}'?"
    ]


def test_an_unknown_key_can_not_flood_the_terminal(problems: Problems) -> None:
    (line,) = problems(f'"\\e[31m{"x" * 1000}": 1\n')
    assert line.startswith("spanmill.yaml:1: '\\x1b[31mxxx")
    assert len(line) < 300


@pytest.mark.parametrize(
    "destination",
    [
        "{endpoint: 'http://h', headers: {authorization: [geheim]}}",
        "{endpoint: 'http://h', headers: geheim}",
        "{endpoint: 'http://h', headers: {authorization: \"a\\ngeheim\"}}",
        "{endpoint: 'http://h', headers: {authorization: ${env:geheim}}}",
        "{endpoint: 'http://h', headers: {authorization: gehe*im, authorization: *geheim}}",
        "{endpoint: 'http://h', headers: {authorization: 'geheim${'}}",
        "{endpoint: 'http://h', headers: {authorization: 'gehéim'}}",
        "{endpoint: 'http://me:geheim@h'}",
        "{endpoint: 'http://h?token=geheim'}",
        "{endpoint: 'http://h', authorisation: geheim}",
        "{endpoint: 'http://h', header: {authorization: geheim}}",
    ],
)
def test_no_error_shows_a_secret(problems: Problems, destination: str) -> None:
    lines = problems(f"exporters: {{otlp_traces: {{vendor: {destination}}}}}")
    assert lines
    assert not any("gehe" in line or "geheim" in line for line in lines)


def test_headers_stay_hidden_where_the_configuration_is_shown(load: Load) -> None:
    text = "exporters: {otlp_traces: {v: {endpoint: 'http://h', headers: {a: '${env:T}'}}}}"
    config = load(text, {"T": "geheim"}).config
    assert config.exporters.otlp_traces["v"].headers == {"a": SecretStr("geheim")}
    assert "geheim" not in repr(config) + str(config) + config.model_dump_json()
