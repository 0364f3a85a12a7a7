"""A backend that takes OTLP over HTTP, and remembers which spans came."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class SpanSink:
    """How often each (trace id, span id) came."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._came: Counter[tuple[bytes, bytes]] = Counter()
        self._lock = threading.Lock()

    def take(self, body: bytes) -> None:
        """Count the spans of a request."""
        spans = [
            (span.trace_id, span.span_id)
            for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]
        with self._lock:
            self._came.update(spans)

    def came(self) -> Counter[tuple[bytes, bytes]]:
        """A copy of what came until now."""
        with self._lock:
            return self._came.copy()


@contextmanager
def span_sink() -> Iterator[SpanSink]:
    """A sink that listens until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            sink.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        sink = SpanSink(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()
