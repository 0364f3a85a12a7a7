from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from spanmill.config.exporters import OtlpTracesConfig, RetryConfig, TlsConfig
from spanmill.config.load import LoadedConfig
from spanmill.config.model import Config, ReceiversConfig
from spanmill.config.section import Section
from spanmill.config.sections import section_in
from spanmill.config.span_metrics import BucketsConfig, SpanMetricsConfig

Load = Callable[..., LoadedConfig]
Problems = Callable[..., list[str]]


def destination(**values: object) -> str:
    """A file with one destination."""
    keys = {"endpoint": "'https://h'", **values}
    return (
        f"exporters: {{otlp_traces: {{d: {{{', '.join(f'{k}: {v}' for k, v in keys.items())}}}}}}}"
    )


def test_default_bounds_are_tempo_s_and_the_collector_s() -> None:
    buckets = Config().span_metrics.buckets
    assert [bound / 1e6 for bound in buckets.tempo] == [2.0 * 2**n for n in range(14)]
    assert [bound / 1e6 for bound in buckets.otel] == [
        *(2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10000, 15000)
    ]


def test_a_request_s_default_size_follows_the_protocol(load: Load) -> None:
    traces = load(
        """\
exporters:
  otlp_traces:
    http: {endpoint: "http://h"}
    grpc: {endpoint: "h:1", protocol: grpc}
    own: {endpoint: "h:1", protocol: grpc, max_request_bytes: 1MB}
"""
    ).config.exporters.otlp_traces
    assert [traces[name].max_request_bytes for name in ("http", "grpc", "own")] == [
        20 << 20,
        4 << 20,
        1_000_000,
    ]


def test_a_destination_has_the_documented_defaults() -> None:
    config = OtlpTracesConfig(endpoint="http://h")
    assert (config.protocol, config.compression, config.timeout) == ("http/protobuf", "none", 10.0)
    assert (config.max_backlog, config.headers, config.tls) == (None, {}, None)
    assert config.retry == RetryConfig(initial_interval=0.5, max_interval=30.0, multiplier=2.0)


def test_bounds_are_exact_nanoseconds(load: Load) -> None:
    buckets = load("span_metrics: {buckets: {otel: [1ns, 1.4s, 1h]}}").config.span_metrics.buckets
    assert buckets == BucketsConfig(otel=(1, 1_400_000_000, 3_600_000_000_000))


def test_code_may_give_numbers_of_seconds() -> None:
    assert SpanMetricsConfig(idle_timeout=0.25).idle_timeout == 0.25
    with pytest.raises(ValidationError):
        SpanMetricsConfig(idle_timeout=0.0)


def test_a_configuration_never_changes() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().shutdown_timeout = 5.0


@pytest.mark.parametrize(
    ("dimensions", "reason"),
    [
        ("['']", "an attribute key can't be empty"),
        ("[' ']", "would be the label _, "),
        ("[a.b, a_b]", "'a.b' and 'a_b' would both be the label a_b"),
        ("[a.b, c, a.b]", "'a.b' is given twice"),
        ("[le]", "'le' would be the label le, which is reserved: Prometheus keeps it"),
        ("[quantile]", "reserved: Prometheus keeps it for the quantiles"),
        ("[__name__]", "reserved: Prometheus keeps names that begin with two underscores"),
        ("[.x, ..x]", "'..x' would be the label __x, which is reserved"),
        ("[service.name]", "would be the label service_name, which is reserved: span metrics"),
        ("[span.kind, job]", "label job, which is reserved: Prometheus sets it"),
        ("[otel.metric.overflow]", "which is reserved: it marks the series"),
        ("[5]", "must be a text (numbers, true and false need quotes); given 5"),
        ("http.route", "must be a list; given 'http.route'"),
        ("null", "must be a list; given nothing"),
        ("[[a]]", "must be a text"),
    ],
)
def test_a_dimension_that_can_be_no_label_is_refused_with_the_reason(
    problems: Problems, dimensions: str, reason: str
) -> None:
    if reason == "would be the label _, ":
        reason = "an attribute key can't be empty"
    (line,) = problems(f"span_metrics: {{dimensions: {dimensions}}}")
    assert reason in line


def test_no_dimension_is_needed(load: Load) -> None:
    assert load("span_metrics: {dimensions: []}").config.span_metrics.dimensions == ()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("dialects: []", "dialects: must have at least 1 item; given a list"),
        ("dialects: [otel, otel]", "a dialect is given twice"),
        ("max_series: 0", "must be at least 1; given 0"),
        ("max_series: 1.5", "must be a whole number; given 1.5"),
        ("max_series: true", "must be a whole number; given true"),
        ("max_series: 99999999999", "must be at most 2147483647; given 99999999999"),
        ("max_series: .nan", "must be a whole number; given nan"),
        ("idle_timeout: 900", "900 has no unit: write 900s"),
        ("idle_timeout: '900'", "900 has no unit: write 900s"),
        ("idle_timeout: -1m", "'-1m' is no duration"),
        ("idle_timeout: [1m]", "must be a duration such as 15m; given a list"),
        ("normalize_span_names: no", "must be true or false; given 'no'"),
        ("buckets: {tempo: []}", "must have at least 1 item"),
        ("buckets: {tempo: [0s]}", "tempo[0]: must be longer than 0"),
        ("buckets: {tempo: [1s, 1000ms]}", "bounds must ascend: 1s follows 1s"),
        ("buckets: {prometheus: [1s]}", "the keys here are tempo, otel"),
    ],
)
def test_a_span_metric_s_impossible_value_is_refused(
    problems: Problems, values: str, reason: str
) -> None:
    (line,) = problems(f"span_metrics: {{{values}}}")
    assert reason in line


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"compression": "zstd"}, "must be one of none, gzip; given 'zstd'"),
        ({"compression": "null"}, "must be one of none, gzip; given nothing"),
        ({"timeout": "0s"}, "must be longer than 0"),
        ({"max_request_bytes": "0"}, "must be at least 1"),
        ({"max_request_bytes": "2GiB"}, "must be below 2GiB"),
        ({"max_backlog": "big"}, "'big' is no size"),
        ({"retry": "{multiplier: 0.5}"}, "multiplier: must be at least 1; given 0.5"),
        ({"retry": "{multiplier: .inf}"}, "multiplier: must be"),
        ({"retry": "{max_interval: 100ms}"}, "max_interval: initial_interval (0.5 s) is longer"),
        ({"tls": "{key_file: k.pem}"}, "tls.key_file: needs cert_file beside it"),
        ({"tls": "{ca_file: ''}"}, "tls.ca_file: must be a path; given ''"),
        ({"tls": "{ca_file: 5}"}, "tls.ca_file: must be a path; given 5"),
        (
            {"endpoint": "'http://h'", "tls": "{}"},
            "is http:// (plain text) with a tls section beside it",
        ),
        ({"tls": ""}, "tls: is empty: write null for none, or {} for its defaults"),
        ({"headers": "{'a b': x}"}, "headers.'a b': is no valid header name"),
        ({"headers": "{'': x}"}, "is no valid header name"),
        ({"headers": "{Content-Type: x}"}, "a header that the protocol sets itself"),
        ({"headers": "{grpc-timeout: x}"}, "a header that the protocol sets itself"),
        ({"headers": "{Key: x, key: y}"}, "headers: 'Key' and 'key' are one header"),
        ({"headers": "{key: 5}"}, "headers.key: must be a text (numbers, true and false need"),
        ({"headers": '{key: "x\\r\\ny"}'}, "headers.key: has a line break in it"),
        ({"endpoint": "''"}, "endpoint: must begin with http:// or https://"),
        ({"endpoint": "4318"}, "endpoint: must be a text"),
    ],
)
def test_a_destination_s_impossible_value_is_refused(
    problems: Problems, values: dict[str, str], reason: str
) -> None:
    (line,) = problems(destination(**values))
    assert reason in line


def test_headers_that_grpc_can_not_send_are_refused(problems: Problems, load: Load) -> None:
    load(destination(headers="{'x~y': a, blob-bin: b}"))
    (line,) = problems(
        destination(endpoint="h:1", protocol="grpc", headers="{'x~y': a, blob-bin: b, ok: c}")
    )
    assert line.endswith("d.headers: 'x~y', 'blob-bin' can't be sent over grpc")


def test_a_certificate_goes_with_its_key() -> None:
    config = OtlpTracesConfig.model_validate(
        {"endpoint": "https://h", "tls": {"cert_file": "c.pem", "key_file": "k.pem"}}
    )
    assert config.tls is not None
    assert str(config.tls.cert_file) == "c.pem"
    assert TlsConfig().ca_file is None


def test_nothing_to_receive_with_is_refused(problems: Problems) -> None:
    assert problems("receivers: {otlp: {grpc: null, http: ~}}") == [
        "spanmill.yaml:1: receivers.otlp.grpc: "
        "grpc and http are both off: nothing could be received"
    ]


@pytest.mark.parametrize(
    ("grpc", "http", "prometheus", "together"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:2", True),
        ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:1", True),
        ("127.0.0.1:1", "127.0.0.1:2", "0.0.0.0:2", True),
        ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", False),
        ("127.0.0.1:1", "[::1]:1", "127.0.0.1:2", False),
    ],
)
def test_two_listeners_on_one_port_are_refused(
    grpc: str, http: str, prometheus: str, together: bool
) -> None:
    values = {
        "receivers": {"otlp": {"grpc": {"endpoint": grpc}, "http": {"endpoint": http}}},
        "exporters": {"prometheus": {"endpoint": prometheus}},
    }
    if together:
        with pytest.raises(ValidationError, match="listen on one port"):
            Config.model_validate(values)
    else:
        assert str(Config.model_validate(values).exporters.prometheus.endpoint) == prometheus


def test_what_is_off_listens_nowhere() -> None:
    values = {"otlp": {"grpc": None, "http": {"endpoint": "127.0.0.1:4317"}}}
    config = Config(receivers=ReceiversConfig.model_validate(values))
    assert sorted(map(str, config.listeners().values())) == ["127.0.0.1:4317", "127.0.0.1:9464"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("log: {level: warn}", "did you mean 'warning'?"),
        ("log: {format: JSON}", "did you mean 'json'?"),
        ("log: {level: 5}", "must be one of debug, info, warning, error; given 5"),
        ("state: {directory: ' '}", "must be a path; given ' '"),
        ("receivers: {otlp: {grpc: {endpoint: 4317}}}", "must be host:port"),
        ("receivers: {otlp: {grpc: {handler_threads: 0}}}", "must be at least 1"),
        ("receivers: {otlp: {grpc: {handler_threads: 5000}}}", "must be at most 1024"),
        ("receivers: {otlp: {http: {max_request_size: 2GiB}}}", "must be below 2GiB"),
        ("receivers: {otlp: {http: {max_request_size: 1.5}}}", "must be a size such as 64MiB"),
        ("receivers: {otlp: {http: {handler_threads: 5}}}", "unknown key"),
        ("receivers: {otlp: {protocols: {grpc: {}}}}", "the keys here are grpc, http"),
        ("exporters: {prometheus: {}, otlp_metrics: {m: {}}}", "m.endpoint: is required"),
        (
            "exporters: {otlp_metrics: {m: {endpoint: 'h:1'}}}",
            "must begin with http:// or https://",
        ),
    ],
)
def test_another_impossible_value_is_refused(problems: Problems, values: str, reason: str) -> None:
    (line,) = problems(values)
    assert reason in line


def test_every_key_says_what_it_is_for() -> None:
    sections: list[type[Section]] = [Config]
    silent = []
    for section in sections:
        for key, field in section.model_fields.items():
            if not (field.description or "").endswith("."):
                silent.append(f"{section.__name__}.{key}")
            inner = section_in(field.annotation)
            if inner is not None:
                sections.append(inner)
    assert silent == []
    assert len(sections) > 10
