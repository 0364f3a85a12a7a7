from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from spanmill_instrumentation import Telemetry, TelemetrySettings, configure

Requests = Queue[trace_service_pb2.ExportTraceServiceRequest]

ONE_SPAN = """
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
from spanmill_instrumentation import configure
telemetry = configure()
again = configure()
from opentelemetry import trace
with trace.get_tracer("test").start_as_current_span("work"):
    pass
"""
DEADLINE = 60.0


def run_python(code: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "TRACING_")) and not name.lower().endswith("_proxy")
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )


@pytest.fixture
def http_receiver() -> Iterator[tuple[str, Requests]]:
    requests: Requests = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/traces"
            requests.put(trace_service_pb2.ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    server.server_close()


@pytest.fixture
def grpc_receiver() -> Iterator[tuple[str, Requests]]:
    requests: Requests = Queue()

    class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(  # noqa: N802 - the service's name
            self,
            request: trace_service_pb2.ExportTraceServiceRequest,
            context: grpc.ServicerContext,
        ) -> trace_service_pb2.ExportTraceServiceResponse:
            requests.put(request)
            return trace_service_pb2.ExportTraceServiceResponse()

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    # The generated code has no types.
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]
        Receiver(), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", requests
    server.stop(None).wait()


def assert_one_span_of_the_shop(requests: Requests) -> None:
    request = requests.get(timeout=DEADLINE)
    (resource_spans,) = request.resource_spans
    (scope_spans,) = resource_spans.scope_spans
    attributes = {pair.key: pair.value.string_value for pair in resource_spans.resource.attributes}
    assert [span.name for span in scope_spans.spans] == ["work"]
    assert attributes["service.name"] == "shop"
    assert attributes["team"] == "a b"
    assert attributes["service.instance.id"]


def test_switched_off_nothing_of_opentelemetry_is_imported_and_no_thread_starts() -> None:
    code = """
import json, sys, threading
from spanmill_instrumentation import configure, instrument_app
app = object()
assert instrument_app(app) is app
assert configure().shutdown()
print(json.dumps([sorted(sys.modules), threading.active_count()]))
"""
    modules, threads = json.loads(run_python(code, {}).stdout)
    assert [name for name in modules if name.startswith(("opentelemetry", "grpc"))] == []
    assert threads == 1


def test_spans_reach_an_http_endpoint_by_the_end_of_the_process(
    http_receiver: tuple[str, Requests],
) -> None:
    endpoint, requests = http_receiver
    result = run_python(
        ONE_SPAN,
        {
            "TRACING_ENABLED": "true",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_SERVICE_NAME": "shop",
            "OTEL_RESOURCE_ATTRIBUTES": "team=a%20b",
        },
    )
    assert_one_span_of_the_shop(requests)
    assert result.stderr.count("[tracing] OpenTelemetry SDK started") == 1
    assert f"endpoint={endpoint}/v1/traces service=shop sampler=ParentBased" in result.stderr


def test_spans_reach_a_grpc_endpoint_by_the_end_of_the_process(
    grpc_receiver: tuple[str, Requests],
) -> None:
    endpoint, requests = grpc_receiver
    run_python(
        ONE_SPAN,
        {
            "TRACING_ENABLED": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_SERVICE_NAME": "shop",
            "OTEL_RESOURCE_ATTRIBUTES": "team=a%20b",
        },
    )
    assert_one_span_of_the_shop(requests)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_shutdown_leaves_an_endpoint_that_never_answers_at_its_deadline(protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        code = ONE_SPAN + "print(telemetry.shutdown(timeout=0.2))"
        result = run_python(
            code,
            {
                "TRACING_ENABLED": "true",
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
                "OTEL_EXPORTER_OTLP_TIMEOUT": "30",
            },
        )
    assert result.stdout.strip() == "False"


def test_a_flush_leaves_an_endpoint_that_never_answers_at_its_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        code = ONE_SPAN + "print(telemetry.force_flush(0.2)); telemetry.shutdown(0.1)"
        result = run_python(
            code,
            {
                "TRACING_ENABLED": "true",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
                "OTEL_EXPORTER_OTLP_TIMEOUT": "30",
            },
        )
    assert result.stdout.strip() == "False"


def test_without_opentelemetry_one_warning_names_the_install_command(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "spanmill_instrumentation.sdk", raising=False)
    with caplog.at_level(logging.WARNING, "spanmill_instrumentation"):
        telemetry = configure(TelemetrySettings(enabled=True))
    assert not telemetry.active
    assert len(caplog.messages) == 1
    assert "pip install spanmill-instrumentation" in caplog.messages[0]


def test_a_broken_setting_is_one_warning_and_tracing_is_off() -> None:
    code = """
import logging
logging.basicConfig(format="%(message)s")
from spanmill_instrumentation import configure
print(configure().active)
"""
    result = run_python(code, {"TRACING_ENABLED": "true", "OTEL_EXPORTER_OTLP_TIMEOUT": "soon"})
    assert result.stdout.strip() == "False"
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("[tracing] off: ValueError:")


def test_switched_off_telemetry_can_be_flushed_and_shut_down() -> None:
    telemetry = Telemetry(TelemetrySettings())
    assert telemetry.force_flush()
    assert telemetry.shutdown()
