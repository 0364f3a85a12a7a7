"""Secrets in the configuration: taken, never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanmill.config.exposure import exposures
from spanmill.config.load import load_config
from spanmill.config.model import Config
from spanmill.errors import ConfigError

SECRET = "geheim-und-lang"


@pytest.mark.parametrize(
    "text",
    [
        f"receivers: {{otlp: {{auth: {{tokens: {{a: '{SECRET} {SECRET}'}}}}}}}}",
        f"receivers: {{otlp: {{auth: {{tokens: {{a: [{SECRET}]}}}}}}}}",
        f"receivers: {{otlp: {{auth: {{tokens: {{'a b': {SECRET}}}}}}}}}",
        f"receivers: {{otlp: {{auth: {{tokens: [{SECRET}]}}}}}}",
        f"receivers: {{otlp: {{auth: {{tokens: {SECRET}}}}}}}",
        f"receivers: {{otlp: {{auth: {{tokens: {{a: {SECRET}}}, token_files: {{a: x}}}}}}}}",
        f"exporters: {{prometheus: {{auth: {{token: '{SECRET} {SECRET}'}}}}}}",
        f"exporters: {{prometheus: {{auth: {{token: {SECRET}, token_file: x}}}}}}",
        f"exporters: {{prometheus: {{auth: {{token: {{x: {SECRET}}}}}}}}}",
        f"exporters: {{prometheus: {{auth: {{password: {SECRET}}}}}}}",
        f"exporters: {{prometheus: {{auth: {{username: 'a:b', password: {SECRET}}}}}}}",
        f"exporters: {{prometheus: {{auth: {{username: a, password: [{SECRET}]}}}}}}",
        "exporters: {prometheus: {auth: {username: a}}}",
        "exporters: {prometheus: {auth: {username: a, password: ''}}}",
        "exporters: {prometheus: {auth: {token: ''}}}",
    ],
)
def test_a_problem_is_told_without_the_secret(tmp_path: Path, text: str) -> None:
    file = tmp_path / "spanmill.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_config(file, {})
    assert SECRET not in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_secret_is_not_shown_by_what_was_read(tmp_path: Path) -> None:
    file = tmp_path / "spanmill.yaml"
    file.write_text(
        "receivers: {otlp: {auth: {tokens: {a: '${env:TOKEN}'}}}}\n"
        "exporters: {prometheus: {auth: {username: u, password: '${env:TOKEN}'}}}\n"
    )
    loaded = load_config(file, {"TOKEN": SECRET, "METRICS_AUTH_TOKEN": SECRET})
    assert SECRET not in repr(loaded) + str(loaded.config) + loaded.config.model_dump_json()
    auth = loaded.config.receivers.otlp.auth
    assert auth is not None
    assert auth.tokens["a"].get_secret_value() == SECRET


def test_the_token_of_the_scrape_comes_from_the_environment(tmp_path: Path) -> None:
    for file in (None, tmp_path / "empty.yaml"):
        if file is not None:
            file.touch()
        auth = load_config(file, {"METRICS_AUTH_TOKEN": SECRET}).config.exporters.prometheus.auth
        assert auth is not None
        assert auth.token is not None
        assert auth.token.get_secret_value() == SECRET
        assert load_config(file, {}).config.exporters.prometheus.auth is None


@pytest.mark.parametrize("value", ["", f"{SECRET} {SECRET}", f"{SECRET}\n", "x" * 5000])
def test_a_token_that_cannot_be_sent_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^the environment variable METRICS_AUTH_TOKEN ") as no:
        load_config(None, {"METRICS_AUTH_TOKEN": value})
    assert SECRET not in str(no.value)


def test_two_tokens_for_the_scrape_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "spanmill.yaml"
    file.write_text(f"exporters: {{prometheus: {{auth: {{token: {SECRET}}}}}}}")
    with pytest.raises(ConfigError, match="set one of them"):
        load_config(file, {"METRICS_AUTH_TOKEN": SECRET})


TLS = {"cert_file": "a", "key_file": "b"}
MUTUAL = {**TLS, "client_ca_file": "c"}
TOKENS = {"tokens": {"a": SECRET}}


@pytest.mark.parametrize(
    ("grpc", "auth", "lacks"),
    [
        ({"endpoint": "127.0.0.1:4317"}, None, None),
        ({"endpoint": "127.9.9.9:4317"}, None, None),
        ({"endpoint": "[::1]:4317"}, None, None),
        ({"endpoint": "localhost:4317"}, None, None),
        ({"endpoint": "0.0.0.0:4317"}, None, ("authentication", "TLS")),
        ({"endpoint": "[::]:4317"}, TOKENS, ("TLS",)),
        ({"endpoint": "collector:4317", "tls": TLS}, None, ("authentication",)),
        ({"endpoint": "10.0.0.1:4317", "tls": TLS}, TOKENS, None),
        ({"endpoint": "10.0.0.1:4317", "tls": MUTUAL}, None, None),
    ],
)
def test_what_strangers_reach_is_known(
    grpc: dict[str, object], auth: dict[str, object] | None, lacks: tuple[str, ...] | None
) -> None:
    otlp = {"grpc": grpc, "http": None, "auth": auth}
    found = list(exposures(Config.model_validate({"receivers": {"otlp": otlp}})))
    assert [each.lacks for each in found] == ([] if lacks is None else [lacks])


def test_each_listener_is_told_by_its_key() -> None:
    config = Config.model_validate(
        {
            "receivers": {
                "otlp": {"grpc": {"endpoint": "0.0.0.0:1"}, "http": {"endpoint": "0.0.0.0:2"}}
            },
            "exporters": {"prometheus": {"endpoint": "0.0.0.0:3", "auth": {"token": SECRET}}},
        }
    )
    assert [str(each) for each in exposures(config)] == [
        "receivers.otlp.grpc.endpoint (0.0.0.0:1) has no authentication and no TLS",
        "receivers.otlp.http.endpoint (0.0.0.0:2) has no authentication and no TLS",
        "exporters.prometheus.endpoint (0.0.0.0:3) has no TLS",
    ]
