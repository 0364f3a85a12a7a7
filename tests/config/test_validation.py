from __future__ import annotations

from collections.abc import Callable

Problems = Callable[..., list[str]]


def test_every_problem_is_told_in_one_go_and_in_the_file_s_order(problems: Problems) -> None:
    assert problems(
        """\
receivers:
  otlp:
    grpc: {endpoint: "127.0.0.1:99999", max_request_sise: 64MiB}
    http:
      endpoint: 127.0.0.1:9464
exporters:
  otlp_traces:
    tempo: {endpoint: "127.0.0.1:4418"}
    jaeger:
      protocol: grcp
      protocol: grpc
      retry: {initial_interval: 1m, multiplier: "2"}
      tls: {cert_file: a.pem}
    "a b": {endpoint: "http://h"}
    vendor:
      endpoint: ${env:VENDOR}
      timeout: 10
span_metrics:
  dialects: [tempo, tenpo]
  max_series: 20k
  histogram_flavour: native
  buckets: {tempo: [2ms, 1ms], otel: [1ms, 2, 3]}
log: [info]
shutdown_timeout: 0s
"""
    ) == [
        "spanmill.yaml:3: receivers.otlp.grpc.endpoint: port 99999 is over 65535",
        "spanmill.yaml:3: receivers.otlp.grpc.max_request_sise: unknown key; "
        "did you mean 'max_request_size'?",
        "spanmill.yaml:5: receivers.otlp.http.endpoint: exporters.prometheus.endpoint "
        "(127.0.0.1:9464) and receivers.otlp.http.endpoint (127.0.0.1:9464) listen on one port",
        "spanmill.yaml:8: exporters.otlp_traces.tempo.endpoint: must begin with http:// or "
        "https:// for protocol http/protobuf; given '127.0.0.1:4418'",
        "spanmill.yaml:9: exporters.otlp_traces.jaeger.endpoint: is required, there is no default",
        "spanmill.yaml:10: exporters.otlp_traces.jaeger.protocol: must be one of "
        "http/protobuf, grpc; given 'grcp'; did you mean 'grpc'?",
        "spanmill.yaml:11: exporters.otlp_traces.jaeger.protocol: is given twice, first on line 10",
        "spanmill.yaml:12: exporters.otlp_traces.jaeger.retry.multiplier: must be a number; "
        "given '2'",
        "spanmill.yaml:12: exporters.otlp_traces.jaeger.retry.initial_interval: "
        "initial_interval (60 s) is longer than max_interval (30 s)",
        "spanmill.yaml:13: exporters.otlp_traces.jaeger.tls.cert_file: needs key_file beside it",
        "spanmill.yaml:14: exporters.otlp_traces.'a b': a destination's name is 1 to 63 letters, "
        "digits and _ . -, and begins with a letter or digit",
        "spanmill.yaml:16: exporters.otlp_traces.vendor.endpoint: the environment variable "
        "VENDOR is not set; set it, or write ${env:VENDOR:-default}",
        "spanmill.yaml:17: exporters.otlp_traces.vendor.timeout: 10 has no unit: write 10s for "
        "seconds or 10ms for milliseconds",
        "spanmill.yaml:19: span_metrics.dialects[1]: must be one of tempo, otel; given 'tenpo'; "
        "did you mean 'tempo'?",
        "spanmill.yaml:20: span_metrics.max_series: must be a whole number; given '20k'",
        "spanmill.yaml:21: span_metrics.histogram_flavour: unknown key; the keys here are "
        "dimensions, status_message, target_info, instance_label, dialects, max_series, "
        "idle_timeout, normalize_span_names, name_rules, buckets",
        "spanmill.yaml:22: span_metrics.buckets.tempo: bounds must ascend: 1ms follows 2ms",
        "spanmill.yaml:22: span_metrics.buckets.otel[1]: 2 has no unit: write 2s for seconds "
        "or 2ms for milliseconds",
        "spanmill.yaml:22: span_metrics.buckets.otel[2]: 3 has no unit: write 3s for seconds "
        "or 3ms for milliseconds",
        "spanmill.yaml:23: log: must be a mapping of keys; given a list",
        "spanmill.yaml:24: shutdown_timeout: must be longer than 0; given '0s'",
    ]


def unset(name: str) -> str:
    """What is told of a variable without a value."""
    return f"the environment variable {name} is not set; set it, or write ${{env:{name}:-default}}"


def test_a_variable_that_is_not_set_hides_no_other_problem(problems: Problems) -> None:
    text = """\
stat: {directory: "${env:A}"}
log: ["${env:B}"]
exporters:
  otlp_traces:
    nobody:
    vendor: {protocol: http, headers: {key: "${env:C}"}}
span_metrics:
  dialects: ["${env:D}"]
"""
    assert [line.split(": ", 2)[1:] for line in problems(text)] == [
        ["stat.directory", unset("A")],
        ["stat", "unknown key; did you mean 'state'?"],
        ["log[0]", unset("B")],
        ["log", "must be a mapping of keys; given a list"],
        ["exporters.otlp_traces.nobody.endpoint", "is required, there is no default"],
        ["exporters.otlp_traces.vendor.headers.key", unset("C")],
        ["exporters.otlp_traces.vendor.endpoint", "is required, there is no default"],
        [
            "exporters.otlp_traces.vendor.protocol",
            "must be one of http/protobuf, grpc; given 'http'; did you mean 'http/protobuf'?",
        ],
        ["span_metrics.dialects[0]", unset("D")],
    ]


def test_thousands_of_unknown_keys_are_all_told(problems: Problems) -> None:
    text = "\n".join(f"key{number}: {number}" for number in range(3000))
    assert len(problems(text)) == 3000


def test_a_problem_behind_an_alias_is_told_where_it_is_written(problems: Problems) -> None:
    text = """\
exporters:
  otlp_traces:
    a: &a
      endpoint: http://a:1
      timeout: soon
    b:
      <<: *a
      endpoint: http://b:1
"""
    assert [line.split(": ")[:2] for line in problems(text)] == [
        ["spanmill.yaml:5", "exporters.otlp_traces.a.timeout"],
        ["spanmill.yaml:5", "exporters.otlp_traces.b.timeout"],
    ]


def test_what_is_wrong_by_itself_breaks_no_further_rule(problems: Problems) -> None:
    """Without its own wrong value the first receiver would meet the second on its default."""
    text = """\
receivers:
  otlp:
    grpc: {endpoint: 4317}
    http: {endpoint: "127.0.0.1:4317"}
exporters:
  otlp_traces:
    a: {endpoint: "h:1", protocol: gprc, tls: {cert_file: [1], key_file: k.pem}}
"""
    assert [line.split(": ")[1] for line in problems(text)] == [
        "receivers.otlp.grpc.endpoint",
        "exporters.otlp_traces.a.protocol",
        "exporters.otlp_traces.a.tls.cert_file",
    ]
