"""`spanmill doctor` beside a live processor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cli.doctor.pages import served
from running_processor import RunningProcessor
from spanmill.cli.main import main


@pytest.fixture
def running() -> Iterator[RunningProcessor]:
    processor = RunningProcessor({})
    yield processor
    processor.close()


def config_of(running: RunningProcessor, folder: Path, **sections: object) -> str:
    def at(port: str) -> dict[str, str]:
        return {"endpoint": f"127.0.0.1:{running.ports[port]}"}

    file = folder / "spanmill.yaml"
    content = {
        "receivers": {"otlp": {"grpc": at("grpc"), "http": at("http")}},
        "exporters": {"prometheus": at("scrape")},
        "state": {"durability": "memory"},
        **sections,
    }
    file.write_text(json.dumps(content))
    return str(file)


def test_a_live_processor_is_well(
    running: RunningProcessor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id = b"t" * 16, b"s" * 8
    running.send_http(request.SerializeToString())
    main(["doctor", "--config", config_of(running, tmp_path), "--seconds", "0"])
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if line.startswith("FAIL")]
    assert any("balanced: 1 accepted" in line for line in lines)
    assert any("OTLP over gRPC" in line and line.startswith("OK") for line in lines)
    assert any("OTLP over HTTP" in line and line.startswith("OK") for line in lines)


def test_the_exit_code_is_that_of_the_worst_finding(
    running: RunningProcessor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = {"otlp_traces": {"gone": {"endpoint": "http://127.0.0.1:1"}}}
    scrape = {"endpoint": f"127.0.0.1:{running.ports['scrape']}"}
    config = config_of(running, tmp_path, exporters={"prometheus": scrape, **gone})
    assert main(["doctor", "--config", config, "--seconds", "0"]) == 2
    assert "FAIL  destination gone (traces)" in capsys.readouterr().out


def test_where_nobody_answers_that_is_the_only_finding(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor", "--url", "http://127.0.0.1:1"]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("FAIL  process: nothing answers at http://127.0.0.1:1")


def test_a_process_that_is_not_ready_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with served({"/readyz": lambda _: (503, b"")}) as server:
        assert main(["doctor", "--url", server.url]) == 2
    assert "not ready" in capsys.readouterr().out


def test_the_token_of_the_environment_is_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("METRICS_AUTH_TOKEN", "secret")
    with served({"/readyz": lambda _: (200, b""), "/metrics": lambda _: (401, b"")}) as server:
        assert main(["doctor", "--url", server.url]) == 2
        assert server.headers_seen[-1]["authorization"] == "Bearer secret"
    out = capsys.readouterr().out
    assert "METRICS_AUTH_TOKEN" in out
    assert "secret" not in out


def test_what_is_no_url_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["doctor", "--url", "localhost:9464"])
    assert "doesn't begin with http://" in capsys.readouterr().err
