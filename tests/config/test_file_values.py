from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from spanmill.config.exporters import RetryConfig
from spanmill.config.load import LoadedConfig
from spanmill.config.model import Config

Load = Callable[..., LoadedConfig]
Problems = Callable[..., list[str]]


def test_a_variable_is_put_in_with_the_type_that_its_key_wants(load: Load) -> None:
    environ = {"SERIES": "7", "TOKEN": "0123", "DIRECTORY": "2026", "CREATED": "true"}
    config = load(
        """\
exporters:
  prometheus: {endpoint: "127.0.0.1:${env:PORT:-9000}", created_timestamps: "${env:CREATED}"}
  otlp_traces:
    plain: {endpoint: http://h, headers: {token: "${env:TOKEN}"}}
    block:
      endpoint: http://h
      max_backlog: ${env:QUEUE:-1024}
      headers:
        token: ${env:TOKEN}
      retry:
        multiplier: ${env:MULTIPLIER:-3}
span_metrics:
  max_series: ${env:SERIES}
  buckets: {otel: ["${env:BOUND:-5ms}"]}
state:
  directory: ${env:DIRECTORY}
""",
        environ,
    ).config
    assert str(config.exporters.prometheus.endpoint) == "127.0.0.1:9000"
    assert config.exporters.prometheus.created_timestamps is True
    assert config.exporters.otlp_traces["plain"].headers["token"].get_secret_value() == "0123"
    block = config.exporters.otlp_traces["block"]
    assert block.headers["token"].get_secret_value() == "0123"
    assert (block.max_backlog, block.retry.multiplier) == (1024, 3.0)
    assert config.span_metrics.max_series == 7
    assert config.span_metrics.buckets.otel == (5_000_000,)
    assert config.state.directory == Path("2026")


def test_a_variable_never_becomes_structure(problems: Problems) -> None:
    environ = {"SECTION": "{max_series: 5}", "LIST": "[tempo]"}
    assert problems("span_metrics: ${env:SECTION}\nlog:\n  level: ${env:LIST}\n", environ) == [
        "spanmill.yaml:1: span_metrics: must be a mapping of keys; given '{max_series: 5}'",
        "spanmill.yaml:3: log.level: must be one of debug, info, warning, error; given '[tempo]'",
    ]


def test_a_variable_of_the_wrong_type_is_told_once(problems: Problems) -> None:
    assert problems("span_metrics:\n  max_series: ${env:N}\n", {"N": "many"}) == [
        "spanmill.yaml:2: span_metrics.max_series: must be a whole number; given 'many'"
    ]


def test_quoted_values_are_texts(problems: Problems) -> None:
    assert problems("span_metrics: {max_series: '5', normalize_span_names: 'true'}\n") == [
        "spanmill.yaml:1: span_metrics.max_series: must be a whole number; given '5'",
        "spanmill.yaml:1: span_metrics.normalize_span_names: must be true or false; given 'true'",
    ]


@pytest.mark.parametrize("empty", ["", " ", " ${env:UNSET:-}", " ${env:EMPTY}"])
def test_an_empty_receiver_is_neither_on_nor_off(problems: Problems, empty: str) -> None:
    assert problems(f"receivers:\n  otlp:\n    grpc:{empty}\n", {"EMPTY": ""}) == [
        "spanmill.yaml:3: receivers.otlp.grpc: is empty: "
        "write null for none, or {} for its defaults"
    ]


def test_a_receiver_is_turned_off_by_null(load: Load) -> None:
    otlp = load("receivers: {otlp: {grpc: null}}").config.receivers.otlp
    assert otlp.grpc is None
    assert otlp.http is not None


ALWAYS_ON = (
    "receivers",
    "receivers.otlp",
    "exporters",
    "exporters.prometheus",
    "exporters.otlp_traces.d.retry",
    "span_metrics",
    "span_metrics.buckets",
    "state",
    "log",
)


def section_file(key: str, value: str) -> str:
    """A file in which this section has this value, and destination d the rest that it needs."""
    *above, last = key.split(".")
    lines = [f"{'  ' * depth}{name}:" for depth, name in enumerate(above)]
    indent = "  " * len(above)
    if above[-1:] == ["d"]:
        lines.append(f"{indent}endpoint: http://h")
    return "\n".join([*lines, f"{indent}{last}: {value}", ""])


@pytest.mark.parametrize("null", ["null", "~", "Null", "${env:NOTHING}"])
@pytest.mark.parametrize("key", ALWAYS_ON)
def test_null_turns_off_no_section_that_is_always_on(
    problems: Problems, key: str, null: str
) -> None:
    text = section_file(key, null)
    assert problems(text, {"NOTHING": "null"}) == [
        f"spanmill.yaml:{text.count(chr(10))}: {key}: "
        "can't be turned off; leave it out for its defaults"
    ]


@pytest.mark.parametrize("empty", ["", "{}", "# nothing", "${env:UNSET:-}"])
@pytest.mark.parametrize("key", ALWAYS_ON)
def test_an_empty_section_that_is_always_on_has_its_defaults(
    load: Load, key: str, empty: str
) -> None:
    config = load(section_file(key, empty)).config
    in_full = config.exporters.otlp_traces.values()
    assert all(d.retry == RetryConfig() for d in in_full)
    without = config.exporters.model_copy(update={"otlp_traces": {}})
    assert config.model_copy(update={"exporters": without}) == Config()


@pytest.mark.parametrize("null", ["null", "~"])
def test_null_is_nobody_where_names_stand(load: Load, null: str) -> None:
    exporters = load(f"exporters: {{otlp_traces: {null}, otlp_metrics: {null}}}").config.exporters
    assert (exporters.otlp_traces, exporters.otlp_metrics) == ({}, {})
