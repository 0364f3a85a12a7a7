"""`spanmill replay` against a real processor, as a user runs it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli.replay.recorded import recorded_span, request_of, write_recording
from running_processor import RunningProcessor
from spanmill.cli.main import main
from spanmill.cli.replay import command


@pytest.fixture
def processor() -> Iterator[RunningProcessor]:
    running = RunningProcessor({})
    yield running
    running.close()


@pytest.fixture
def recording(tmp_path: Path) -> str:
    messages = [
        request_of([recorded_span(n) for n in range(first, first + 10)]) for first in (1, 11)
    ]
    return str(write_recording(tmp_path / "spans.zst", messages))


def calls(processor: RunningProcessor) -> float:
    return sum(
        value
        for (name, _), value in processor.scrape().items()
        if name == "traces_spanmetrics_calls_total"
    )


@pytest.mark.parametrize(
    ("endpoint", "options"),
    [
        ("127.0.0.1:{grpc}", []),
        ("http://127.0.0.1:{grpc}", ["--protocol", "grpc"]),
        ("http://127.0.0.1:{http}", []),
        ("http://127.0.0.1:{http}/", ["--protocol", "http/protobuf", "--rate", "1e9"]),
        ("127.0.0.1:{grpc}", ["--batch-size", "3"]),
    ],
)
def test_every_span_arrives(
    processor: RunningProcessor,
    recording: str,
    capsys: pytest.CaptureFixture[str],
    endpoint: str,
    options: list[str],
) -> None:
    to = endpoint.format_map(processor.ports)
    assert main(["replay", recording, "--to", to, "--loop", "2", *options]) == 0
    assert calls(processor) == 40
    shown = capsys.readouterr()
    assert shown.out.startswith("sent 40 spans in ")
    assert shown.out.endswith(" 0 rejected\n")
    assert shown.err == ""


def test_rejected_spans_are_told_and_are_no_success(
    processor: RunningProcessor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = recorded_span(1)
    bad.trace_id = b"short"
    path = write_recording(tmp_path / "spans.zst", [request_of([bad, recorded_span(2)])])
    assert main(["replay", str(path), "--to", f"127.0.0.1:{processor.ports['grpc']}"]) == 1
    shown = capsys.readouterr()
    assert "2 spans in 1 requests" in shown.out
    assert shown.out.endswith(" 1 rejected\n")
    assert "rejected spans: " in shown.err
    assert "trace id" in shown.err


@pytest.mark.parametrize(
    ("endpoint", "options", "fault"),
    [
        ("nowhere", [], "'nowhere' is not host:port"),
        ("ftp://x:1", [], "must begin with http:// or https://"),
        ("x:1", ["--protocol", "http/protobuf"], "must begin with http:// or https://"),
        ("http://x", ["--protocol", "grpc"], "needs a port"),
        ("http://user:secret@x", [], "must not contain a user"),
    ],
)
def test_a_wrong_endpoint_is_one_line(
    recording: str,
    capsys: pytest.CaptureFixture[str],
    endpoint: str,
    options: list[str],
    fault: str,
) -> None:
    assert main(["replay", recording, "--to", endpoint, *options]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert f"spanmill: --to: {fault}" in shown.err
    assert "secret" not in shown.err


def test_a_wrong_path_is_one_line(
    processor: RunningProcessor, recording: str, capsys: pytest.CaptureFixture[str]
) -> None:
    to = f"http://127.0.0.1:{processor.ports['http']}/wrong"
    assert main(["replay", recording, "--to", to]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert f"spanmill: {to} over http/protobuf takes no spans: answered 404" in shown.err


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "http://127.0.0.1:{}"])
def test_an_endpoint_where_nobody_listens_is_one_line(
    recording: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    monkeypatch.setattr("spanmill.cli.replay.transmission.UNKNOWN_PATIENCE", 0.0)
    with socket.socket() as bound:  # bound and not listening: nobody else takes the port
        bound.bind(("127.0.0.1", 0))
        to = form.format(bound.getsockname()[1])
        assert main(["replay", recording, "--to", to]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert f"spanmill: can't reach {to} over " in shown.err
    assert "refused" in shown.err


def test_an_unreadable_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(tmp_path / "none.zst"), "--to", "127.0.0.1:1"]) == 2
    assert capsys.readouterr().err.endswith("none.zst: No such file or directory\n")


@pytest.mark.parametrize(
    "option",
    [
        "--rate=0",
        "--rate=nan",
        "--rate=inf",
        "--rate=-inf",
        "--rate=-1",
        "--rate=1e-300",
        "--rate=0.0099",
        "--rate=fast",
        "--loop=-1",
        "--loop=1.5",
        "--batch-size=0",
        "--protocol=http/json",
    ],
)
def test_impossible_options_are_refused(
    recording: str, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["replay", recording, "--to", "127.0.0.1:1", option])
    assert ended.value.code == 2
    assert f"argument {option.split('=', 1)[0]}: " in capsys.readouterr().err


def test_a_rate_that_is_too_small_is_told_the_smallest(
    recording: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["replay", recording, "--to", "127.0.0.1:1", "--rate", "1e-300"])
    assert "of which the smallest is 0.01\n" in capsys.readouterr().err


def test_http_to_a_grpc_port_is_one_line(
    processor: RunningProcessor,
    recording: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("spanmill.cli.replay.transmission.UNKNOWN_PATIENCE", 0.0)
    to = f"http://127.0.0.1:{processor.ports['grpc']}"
    assert main(["replay", recording, "--to", to]) == 2
    fault = "what answers there does not speak HTTP/1.1 (a gRPC port?)"
    assert capsys.readouterr().err == f"spanmill: can't reach {to} over http/protobuf: {fault}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_file_is_read_ends_it_as_well(
    recording: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    def interrupted(_path: Path) -> None:
        # A handler of its own, without which this would be the end of the tests.
        assert signal.getsignal(number) is signal.default_int_handler
        signal.raise_signal(number)

    monkeypatch.setattr(command, "Recording", SimpleNamespace(open=interrupted))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(["replay", recording, "--to", "127.0.0.1:1"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().out.startswith("interrupted after 0 spans in 0 requests")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_what_was_sent(
    processor: RunningProcessor,
    recording: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    def interrupted(_seconds: float) -> None:
        signal.raise_signal(number)

    # The first pause of a slow pace comes after the first request.
    monkeypatch.setattr(command, "time", SimpleNamespace(sleep=interrupted))
    # Python's own, which is not there where the tests run in the background of a shell.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    to = f"127.0.0.1:{processor.ports['grpc']}"
    options = ["--rate", "1", "--batch-size", "10", "--loop", "0"]
    try:
        assert main(["replay", recording, "--to", to, *options]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "interrupted after 10 spans in 1 requests" in capsys.readouterr().out
    assert calls(processor) == 10
