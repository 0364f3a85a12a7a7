from __future__ import annotations

import argparse
import os
import tracemalloc
from pathlib import Path

import pytest

from spanmill.cli import check
from spanmill.cli.main import main
from spanmill.config.load import load_config


def run(path: Path) -> int:
    parser = argparse.ArgumentParser()
    check.configure(parser)
    return check.run(parser.parse_args([str(path)]))


def test_a_good_file_is_ok_and_summed_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENDOR_TOKEN", "geheim")
    path = tmp_path / "spanmill.yaml"
    path.write_text(
        """\
receivers: {otlp: {http: null}}
exporters:
  otlp_traces:
    tempo: {endpoint: "http://127.0.0.1:4418", headers: {token: "${env:VENDOR_TOKEN}"}}
    jaeger: {endpoint: "127.0.0.1:4517", protocol: grpc}
  otlp_metrics:
    prometheus: {endpoint: "http://127.0.0.1:9090/api/v1/otlp"}
state: {directory: ./state}
"""
    )
    assert run(path) == 0
    assert capsys.readouterr() == (
        f"""\
{path}: ok
  listens: OTLP over gRPC on 127.0.0.1:4317, /metrics, /healthz and /readyz on 127.0.0.1:9464
  sends traces to: tempo at http://127.0.0.1:4418 (http/protobuf), jaeger at 127.0.0.1:4517 (grpc)
  sends metrics to: prometheus at http://127.0.0.1:9090/api/v1/otlp (http/protobuf)
  keeps its state in: state (synced)
""",
        "",
    )


def test_an_empty_file_sends_to_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "spanmill.yaml"
    path.touch()
    assert run(path) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  listens: OTLP over gRPC on 127.0.0.1:4317, OTLP over HTTP on 127.0.0.1:4318, "
        "/metrics, /healthz and /readyz on 127.0.0.1:9464",
        "  sends traces to: nobody",
        "  sends metrics to: nobody",
        "  keeps its state in: state (synced)",
    ]


def test_each_problem_is_a_line_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spanmill.yaml"
    path.write_text("logs: {}\nspan_metrics:\n  max_series: 0\n")
    assert run(path) == 2
    assert capsys.readouterr() == (
        "",
        f"{path}:1: logs: unknown key; did you mean 'log'?\n"
        f"{path}:3: span_metrics.max_series: must be at least 1; given 0\n",
    )


def test_a_file_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "none.yaml") == 2
    assert capsys.readouterr() == ("", f"{tmp_path}/none.yaml: there is no such file\n")


def test_files_that_can_not_be_read_are_told_with_their_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spanmill.yaml"
    path.write_text(
        f"""\
exporters:
  otlp_traces:
    over-http:
      endpoint: https://h
      tls: {{ca_file: {tmp_path}/none.pem}}
    over-grpc:
      endpoint: h:1
      protocol: grpc
      tls:
        cert_file: {tmp_path}
        key_file: {tmp_path}/none.key
    of.the.system: {{endpoint: "https://h"}}
"""
    )
    assert run(path) == 2
    assert capsys.readouterr() == (
        "",
        f"{path}:5: exporters.otlp_traces.over-http.tls.ca_file: "
        f"can't read {tmp_path}/none.pem: No such file or directory\n"
        f"{path}:10: exporters.otlp_traces.over-grpc.tls.cert_file: "
        f"can't read {tmp_path}: Is a directory\n"
        f"{path}:11: exporters.otlp_traces.over-grpc.tls.key_file: "
        f"can't read {tmp_path}/none.key: No such file or directory\n",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_key_without_permission_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = tmp_path / "closed.pem"
    closed.touch(mode=0o000)
    path = tmp_path / "spanmill.yaml"
    path.write_text(
        f"exporters:\n  otlp_traces:\n    a.b: "
        f"{{endpoint: 'https://h', tls: {{ca_file: {closed}}}}}\n"
    )
    assert run(path) == 2
    assert capsys.readouterr().err == (
        f"{path}:3: exporters.otlp_traces.'a.b'.tls.ca_file: "
        f"can't read {closed}: Permission denied\n"
    )


def test_a_file_that_is_no_certificate_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spanmill.yaml"
    path.write_text(
        f"exporters:\n  otlp_traces:\n    a.b: "
        f"{{endpoint: 'https://h', tls: {{ca_file: {path}}}}}\n"
    )
    assert run(path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path}:3: exporters.otlp_traces.a.b.tls.ca_file: can't use {path}: no")


def test_loading_alone_opens_no_file_that_the_configuration_names(tmp_path: Path) -> None:
    path = tmp_path / "spanmill.yaml"
    path.write_text(
        "exporters: {otlp_traces: {a: {endpoint: 'https://h', tls: {ca_file: none.pem}}}}"
    )
    assert load_config(path, {}).config.exporters.otlp_traces["a"].tls is not None


def test_the_shipped_configuration_is_ok(capsys: pytest.CaptureFixture[str]) -> None:
    shipped = Path(__file__).parents[2] / "collector-config" / "spanmill.yaml"
    assert run(shipped) == 0
    assert "127.0.0.1:5317" in capsys.readouterr().out


def refused_by_both_commands(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that `check` and `run` say; neither starts anything or shows a traceback."""
    said = []
    for arguments in (["check", str(path)], ["run", "--config", str(path)]):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        said += captured.err.splitlines()
    first, second = said
    assert first == second
    return first.removeprefix(f"{path}:")


@pytest.mark.parametrize("key", ["le", "quantile", "__name__"])
def test_bad_input_26_a_reserved_label_as_a_dimension_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    path = tmp_path / "spanmill.yaml"
    path.write_text(f"span_metrics: {{dimensions: [http.route, {key}]}}\n")
    assert refused_by_both_commands(path, capsys).startswith(
        f"1: span_metrics.dimensions: {key!r} would be the label {key}, which is reserved: "
    )


def test_bad_input_25_dimensions_that_would_be_one_label_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spanmill.yaml"
    path.write_text("span_metrics: {dimensions: [a.b, a_b]}\n")
    assert refused_by_both_commands(path, capsys) == (
        "1: span_metrics.dimensions: 'a.b' and 'a_b' would both be the label a_b"
    )


BILLION = "\n".join(
    f"{name}: &{name} [{', '.join([value] * 10)}]"
    for name, value in zip("abcdefghi", ["x", *(f"*{name}" for name in "abcdefgh")], strict=True)
)

BAD_FILES = {
    "an unknown key": ("logs: {}\n", "1: logs: unknown key; did you mean 'log'?"),
    "a duplicate key": (
        "log: {}\nstate: {}\nlog: {level: debug}\n",
        "3: log: is given twice, first on line 1",
    ),
    "anchors that expand a billion times": (
        BILLION,
        "5: e[0]: is too large: over 20000 keys and values once expanded",
    ),
    "a variable that is not set": (
        "state:\n  directory: ${env:SPANMILL_NOT_SET}\n",
        "2: state.directory: the environment variable SPANMILL_NOT_SET is not set; "
        "set it, or write ${env:SPANMILL_NOT_SET:-default}",
    ),
}


@pytest.mark.parametrize(("text", "line"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_input_41_a_bad_configuration_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, line: str
) -> None:
    path = tmp_path / "spanmill.yaml"
    path.write_text(text)
    assert refused_by_both_commands(path, capsys) == line


def test_bad_input_41_anchors_that_expand_a_billion_times_cost_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "spanmill.yaml"
    path.write_text(BILLION)
    tracemalloc.start()
    try:
        assert run(path) == 2
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
