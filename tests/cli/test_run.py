"""`spanmill run` as a process: its lines, its exit codes, its end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanmill.spans.installed import load_decoder

FREE = "127.0.0.1:0"
Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Start `spanmill run` with these exporters; what is left of it ends with the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(scrape: str = FREE, timeout: str = "5s", **destinations: object) -> object:
        config = {
            "receivers": {"otlp": {"grpc": {"endpoint": FREE}, "http": {"endpoint": FREE}}},
            "exporters": {"prometheus": {"endpoint": scrape}, "otlp_traces": destinations},
            "log": {"format": "json"},
            "shutdown_timeout": timeout,
        }
        file = tmp_path / "spanmill.yaml"
        file.write_text(json.dumps(config))
        process = subprocess.Popen(
            [sys.executable, "-m", "spanmill.cli.main", "run", "--config", str(file)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        processes.append(process)
        return process

    yield start  # type: ignore[misc]  # Run names the result in a string
    for process in processes:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def next_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stderr is not None
    line: dict[str, Any] = json.loads(process.stderr.readline())
    return line


def rest(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    _, errors = process.communicate(timeout=30)
    return [json.loads(line) for line in errors.splitlines()]


def send_one_span(process_line: dict[str, Any]) -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id = b"t" * 16, b"s" * 8
    answer = urllib3.request(
        "POST",
        f"http://{process_line['http']}/v1/traces",
        body=request.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
    )
    assert answer.status == 200


def test_one_line_says_that_it_is_ready_and_where(run: Run) -> None:
    line = next_line(run())
    assert line["msg"] == "ready"
    assert line["decoder"] == load_decoder(()).kind
    assert line["destinations"] == "none"
    assert urllib3.request("GET", line["metrics"]).status == 200


def test_a_port_in_use_is_one_line_and_exit_code_2(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        process = run(scrape=endpoint)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert errors.splitlines() == [f"spanmill: scrape endpoint {endpoint}: address already in use"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_the_last_lines_say_what_was_flushed(
    run: Run, number: signal.Signals
) -> None:
    process = run(timeout="1s", gone={"endpoint": "http://127.0.0.1:1"})
    send_one_span(next_line(process))
    process.send_signal(number)
    lines = {line["msg"]: line for line in rest(process)}
    assert process.returncode == 0
    assert lines["stopping"]["signal"] == number.name
    assert lines["flushed"]["destination"] == "gone"
    assert (lines["flushed"]["spans"], lines["flushed"]["left_for_the_next_start"]) == (0, 1)
    assert lines["stopped"]["accepted_spans"] == 1


def test_a_second_signal_ends_it_at_once(run: Run) -> None:
    process = run(timeout="1h", gone={"endpoint": "http://127.0.0.1:1"})
    send_one_span(next_line(process))
    process.send_signal(signal.SIGTERM)
    while next_line(process)["msg"] != "stopping":
        continue
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 1
