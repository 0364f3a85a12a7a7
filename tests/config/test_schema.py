from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from spanmill.config.reference import default_file
from spanmill.config.schema import DIALECT, file_schema

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema comes with the extra `test`")

FULL = """\
receivers:
  otlp:
    grpc: {endpoint: "[::1]:0", max_request_size: 4194304, handler_threads: 8}
    http: null
exporters:
  prometheus: {created_timestamps: "${env:CREATED:-true}"}
  otlp_traces:
    tempo:
      endpoint: http://127.0.0.1:4418
      headers: {authorization: "Bearer ${env:TOKEN}"}
      timeout: 1m30s
      max_backlog: 1.5GiB
      retry: {multiplier: 1.5}
      tls: {ca_file: ca.pem}
  otlp_metrics:
    prometheus: {endpoint: http://p, histograms: classic}
span_metrics:
  dialects: [otel]
  max_series: "${env:SERIES}"
  buckets: {otel: [1ms, 2us, "${env:BOUND}"]}
log: {level: "${env:LEVEL:-info}"}
"""


def errors(text: str) -> list[str]:
    """Where a file does not fit the schema."""
    validator = jsonschema.Draft202012Validator(file_schema())
    return [error.json_path for error in validator.iter_errors(yaml.safe_load(text))]


def test_the_schema_is_one_of_draft_2020_12() -> None:
    schema = file_schema()
    assert schema["$schema"] == DIALECT
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("text", ["{}", FULL, default_file()])
def test_a_good_file_fits(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("stat: {}", "$"),
        ("receivers: {otlp: {protocols: {}}}", "$.receivers.otlp"),
        ("exporters: {otlp_traces: {t: {}}}", "$.exporters.otlp_traces.t"),
        ("exporters: {otlp_traces: {t: {endpoint: h, retries: 1}}}", "$.exporters.otlp_traces.t"),
        ("span_metrics: {max_series: 0}", "$.span_metrics.max_series"),
        ("span_metrics: {max_series: '5'}", "$.span_metrics.max_series"),
        ("span_metrics: {idle_timeout: 900}", "$.span_metrics.idle_timeout"),
        ("span_metrics: {idle_timeout: '900'}", "$.span_metrics.idle_timeout"),
        ("span_metrics: {dialects: []}", "$.span_metrics.dialects"),
        ("span_metrics: {dialects: [tenpo]}", "$.span_metrics.dialects[0]"),
        ("span_metrics: {buckets: {tempo: [1]}}", "$.span_metrics.buckets.tempo[0]"),
        ("exporters: {prometheus: {endpoint: 9464}}", "$.exporters.prometheus.endpoint"),
        ("exporters: {prometheus: {endpoint: '9464'}}", "$.exporters.prometheus.endpoint"),
        ("log: {level: warn}", "$.log.level"),
        ("shutdown_timeout: 5XB", "$.shutdown_timeout"),
    ],
)
def test_a_bad_file_does_not_fit(text: str, path: str) -> None:
    assert errors(text) == [path]


def test_every_section_is_closed_and_every_default_is_in_the_file_s_form() -> None:
    schema = file_schema()
    sections: list[dict[str, Any]] = [schema, *schema["$defs"].values()]
    closed = [section for section in sections if "properties" in section]
    assert len(closed) > 10
    assert all(section["additionalProperties"] is False for section in closed)
    assert schema["properties"]["shutdown_timeout"]["default"] == "10s"
    retry = schema["$defs"]["RetryConfig"]["properties"]
    assert retry["initial_interval"]["default"] == "500ms"
    destination = schema["$defs"]["OtlpTracesConfig"]
    assert destination["required"] == ["endpoint"]
    assert destination["properties"]["tls"]["default"] is None
    assert "default" not in destination["properties"]["max_request_bytes"]
