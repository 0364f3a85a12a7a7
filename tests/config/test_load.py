from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from spanmill.config.load import MAX_FILE_BYTES, LoadedConfig, load_config
from spanmill.config.model import Config
from spanmill.errors import ConfigError

Load = Callable[..., LoadedConfig]
Problems = Callable[..., list[str]]

DOCUMENTED = """\
receivers:
  otlp:
    grpc: {endpoint: 127.0.0.1:4317, max_request_size: 64MiB}
    http: {endpoint: 127.0.0.1:4318}
exporters:
  prometheus: {endpoint: 127.0.0.1:9464}        # GET /metrics
  otlp_traces:
    tempo: {endpoint: "http://127.0.0.1:4418", protocol: http/protobuf}   # or grpc
  otlp_metrics: {}                              # name → endpoint, protocol, histograms
span_metrics:
  dimensions: [http.route]
  dialects: [tempo, otel]
  max_series: 20000
  idle_timeout: 15m
  normalize_span_names: true
state: {directory: ./state}
"""
"""The shape that other tools rely on; but for `tempo`, its values are the defaults."""


def test_the_documented_file_has_the_defaults(load: Load) -> None:
    config = load(DOCUMENTED).config
    assert list(config.exporters.otlp_traces) == ["tempo"]
    assert config.exporters.otlp_traces["tempo"].destination.url == "http://127.0.0.1:4418"
    without_tempo = config.exporters.model_copy(update={"otlp_traces": {}})
    assert config.model_copy(update={"exporters": without_tempo}) == Config()


def test_no_file_is_needed() -> None:
    loaded = load_config(None, {})
    assert loaded.config == Config()
    assert loaded.path is None
    assert loaded.keys_without_effect() == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "{}",
        "exporters:\n",
        "exporters:\n  otlp_traces:\n  prometheus:\nspan_metrics:\n  buckets:\n",
        "\ufeffspan_metrics: {}\n",
    ],
)
def test_what_is_empty_has_its_defaults(load: Load, text: str) -> None:
    assert load(text).config == Config()


def test_keys_set_in_the_file_without_an_effect_are_named_even_at_their_defaults(
    load: Load,
) -> None:
    assert load(DOCUMENTED).keys_without_effect() == [
        "exporters.otlp_metrics",
        "span_metrics.normalize_span_names",
        "state",
    ]
    assert load("span_metrics: {max_series: 5}").keys_without_effect() == []


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
        "dimensions, dialects, max_series, idle_timeout, normalize_span_names, buckets",
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
    assert len(line) < 250


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
      max_queue_bytes: ${env:QUEUE:-1024}
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
    assert (block.max_queue_bytes, block.retry.multiplier) == (1024, 3.0)
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


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_receiver_is_neither_on_nor_off(problems: Problems, empty: str) -> None:
    assert problems(f"receivers:\n  otlp:\n    grpc:{empty}\n") == [
        "spanmill.yaml:3: receivers.otlp.grpc: is empty: "
        "write null for none, or {} for its defaults"
    ]


def test_a_receiver_is_turned_off_by_null(load: Load) -> None:
    otlp = load("receivers: {otlp: {grpc: null}}").config.receivers.otlp
    assert otlp.grpc is None
    assert otlp.http is not None


@pytest.mark.parametrize("root", ["[a, b]", "text", "5", "'quoted'"])
def test_a_root_that_is_no_mapping_is_refused(problems: Problems, root: str) -> None:
    assert problems(root) == ["spanmill.yaml:1: the file must be a mapping of keys"]


def test_an_unreadable_file_gives_one_line(tmp_path: Path) -> None:
    not_utf8 = tmp_path / "latin.yaml"
    not_utf8.write_bytes(b"log:\n  level: inf\xe9\n")
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    for path, reason in (
        (tmp_path, "is a directory, not a file"),
        (tmp_path / "none.yaml", "there is no such file"),
        (tmp_path / "large.yaml" / "x", "can't be read: Not a directory"),
        (large, "is larger than 1 MiB"),
    ):
        with pytest.raises(ConfigError) as refused:
            load_config(path, {})
        assert str(refused.value) == f"{path}: {reason}"
    with pytest.raises(ConfigError) as refused:
        load_config(not_utf8, {})
    assert str(refused.value) == f"{not_utf8}:2: is not UTF-8: byte 0xe9"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_gives_one_line(tmp_path: Path) -> None:
    path = tmp_path / "closed.yaml"
    path.touch(mode=0o000)
    with pytest.raises(ConfigError, match="can't be read: Permission denied"):
        load_config(path, {})


def test_a_file_from_a_pipe_is_read() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"span_metrics: {max_series: 5}\n")
    os.close(writer)
    try:
        assert load_config(Path(f"/dev/fd/{reader}"), {}).config.span_metrics.max_series == 5
    finally:
        os.close(reader)


def test_anchors_that_expand_a_billion_times_are_one_problem(problems: Problems) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    names = "abcdefghij"
    for before, name in pairwise(names):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]")
    assert problems("\n".join(lines)) == [
        "spanmill.yaml:5: e[0]: is too large: over 20000 keys and values once expanded"
    ]


FRAGMENTS = (
    *("receivers", "otlp", "grpc", "http", "exporters", "otlp_traces", "prometheus", "endpoint"),
    *("span_metrics", "dimensions", "buckets", "tempo", "tls", "retry", "headers", "state"),
    *(
        "null",
        "true",
        "5",
        "-1",
        "1.5",
        "15m",
        "64MiB",
        "127.0.0.1:1",
        "http://h",
        "''",
        "[]",
        "{}",
    ),
    *(": ", ":", "\n", "\n  ", "\n    ", "- ", "[", "]", "{", "}", ", ", "&a ", "*a", "<<", "!t "),
    *("${env:A}", "${env:B:-5}", "${env:C}", "$$", "${", "'", '"', "|\n  ", "#", "---", "? ", "\t"),
)


def loads_or_says_where(text: str) -> None:
    """Fail where a text ends in another way than a configuration or lines of problems."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "c.yaml")
        path.write_text(text, encoding="utf-8")
        try:
            load_config(path, {"A": "1", "B": ""})
        except ConfigError as error:
            for line in str(error).splitlines():
                assert re.match(re.escape(str(path)) + r":[0-9]+: .", line)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join))
def test_any_text_is_a_configuration_or_problems(text: str) -> None:
    loads_or_says_where(text)


KEYS = (
    *("receivers", "otlp", "grpc", "http", "endpoint", "exporters", "otlp_traces", "otlp_metrics"),
    *("protocol", "headers", "tls", "cert_file", "retry", "max_interval", "span_metrics", "log"),
    *("dimensions", "dialects", "buckets", "tempo", "level", "state", "directory", "unknown"),
)

Nested = st.recursive(
    st.sampled_from((None, True, 0, -1, 7, 1.5, "", "x", "15m", "h:1", "http://h", "${env:A}")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(
    st.sampled_from(
        (
            (),
            ("receivers", "otlp"),
            ("exporters", "otlp_traces"),
            ("exporters", "otlp_traces", "tempo"),
            ("span_metrics",),
        )
    ),
    Nested,
)
def test_any_values_are_a_configuration_or_problems(at: tuple[str, ...], values: object) -> None:
    for key in reversed(at):
        values = {key: values}
    loads_or_says_where(yaml.safe_dump(values))
