from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

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
