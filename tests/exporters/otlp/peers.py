"""Destinations that do as they are told: real servers for HTTP and gRPC, on real sockets."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)

from exporters.otlp.requests import names_in

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
METRICS_METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, with what goes before it as it is, or the message of a gRPC success."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    interim: bytes = b""


@dataclass(frozen=True)
class Abort:
    """A gRPC error; `retry_after` in seconds goes into a RetryInfo."""

    code: grpc.StatusCode
    details: str = ""
    retry_after: float | None = None


@dataclass(frozen=True)
class Hang:
    """Take the request, and say nothing until the server is closed."""


@dataclass(frozen=True)
class Reset:
    """Take the request, and reset the connection."""


@dataclass(frozen=True)
class Drip:
    """Send this, then byte after byte without end."""

    head: bytes = b""


@dataclass(frozen=True)
class Repeat:
    """Send this again and again, without end."""

    piece: bytes


Action = Answer | Abort | Hang | Reset | Drip | Repeat
Behaviour = Callable[[bytes], Action]


def partial(rejected: int, message: str = "") -> bytes:
    """A success with a partial_success."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = message
    return response.SerializeToString()


class Script:
    """What a peer does next, and what it saw.

    Actions of `script` come first, one a request; then `otherwise` decides. `taken` are the
    bodies that were answered with a success, `seen` all.
    """

    def __init__(self) -> None:
        self.script: deque[Action] = deque()
        self.otherwise: Behaviour = lambda body: Answer()
        self.seen: list[bytes] = []
        self.taken: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.connections: set[object] = set()
        self.released = threading.Event()

    def next_action(self, body: bytes) -> Action:
        self.seen.append(body)
        action = self.script.popleft() if self.script else self.otherwise(body)
        if isinstance(action, Answer) and 200 <= action.status < 300:
            self.taken.append(body)
        return action


class HttpPeer(Script):
    """An HTTP server; `close` and `open` make it go away and come back on the same port."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._context = context
        self.port = 0
        self.open()

    def open(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.peer = self
        self.port = self._server.server_address[1]
        if self._context is not None:
            self._server.socket = self._context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.end_connections()
        self._thread.join()
        self.released = threading.Event()


class _Server(ThreadingHTTPServer):
    peer: HttpPeer
    daemon_threads = True
    block_on_close = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.open_connections: set[socket.socket] = set()

    def end_connections(self) -> None:
        for connection in tuple(self.open_connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.open_connections.add(self.connection)

    def finish(self) -> None:
        self.server.open_connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def do_POST(self) -> None:
        peer = self.server.peer
        body = self.rfile.read(int(self.headers["content-length"]))
        peer.paths.append(self.path)
        peer.headers.append({k.lower(): v for k, v in self.headers.items()})
        peer.connections.add(self.client_address)
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self._act(peer.next_action(body), peer.released)

    def _act(self, action: Action, released: threading.Event) -> None:
        match action:
            case Answer():
                self.wfile.write(action.interim)
                self.send_response(action.status)
                for name, value in action.headers.items():
                    self.send_header(name, value)
                if "transfer-encoding" not in action.headers:
                    self.send_header("content-length", str(len(action.body)))
                self.end_headers()
                self.wfile.write(action.body)
            case Hang():
                released.wait()
                self.close_connection = True
            case Reset():
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                self.connection.close()
                self.close_connection = True
            case Drip():
                with contextlib.suppress(OSError):
                    self.wfile.write(action.head)
                    for _ in itertools.takewhile(
                        lambda _: not released.wait(0.01), itertools.count()
                    ):
                        self.wfile.write(b"x")
                self.close_connection = True
            case Repeat():
                with contextlib.suppress(OSError):
                    while not released.is_set():
                        self.wfile.write(action.piece)
                self.close_connection = True
            case Abort():
                raise AssertionError("gRPC only")

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


class GrpcPeer(Script):
    """A gRPC server; `close` and `open` make it go away and come back on the same port."""

    def __init__(
        self,
        credentials: grpc.ServerCredentials | None = None,
        options: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self._credentials = credentials
        self._options = {"grpc.so_reuseport": 0, **(options or {})}
        self.port = 0
        self.open()

    def open(self) -> None:
        self._server = grpc.server(
            futures.ThreadPoolExecutor(8), options=tuple(self._options.items())
        )
        self._server.add_generic_rpc_handlers((_Export(self),))
        address = f"127.0.0.1:{self.port}"
        self.port = (
            self._server.add_insecure_port(address)
            if self._credentials is None
            else self._server.add_secure_port(address, self._credentials)
        )
        self._server.start()

    def close(self) -> None:
        self.released.set()
        self._server.stop(0).wait()
        self.released = threading.Event()


def taken_names(peer: Script) -> list[str]:
    """The names of the spans that a peer took, in their order."""
    return [name for body in peer.taken for name in names_in(body)]


class _Export(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    def __init__(self, peer: GrpcPeer) -> None:
        self._peer = peer

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        self._peer.paths.append(handler_call_details.method)
        if handler_call_details.method not in (METHOD, METRICS_METHOD):
            return None
        return grpc.unary_unary_rpc_method_handler(self._export, bytes, bytes)

    def _export(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        peer = self._peer
        peer.headers.append({str(k): str(v) for k, v in context.invocation_metadata()})
        peer.connections.add(context.peer())
        match peer.next_action(body):
            case Answer() as answer:
                return answer.body
            case Abort() as abort:
                context.set_trailing_metadata(_rich_status(abort))
                context.abort(abort.code, abort.details)
            case Hang():
                peer.released.wait()
        return b""


def _rich_status(abort: Abort) -> tuple[tuple[str, bytes], ...]:
    if abort.retry_after is None:
        return ()
    status = Status(code=abort.code.value[0], message=abort.details)
    delay = Duration()
    delay.FromNanoseconds(round(abort.retry_after * 1e9))
    status.details.add().Pack(RetryInfo(retry_delay=delay))
    return (("grpc-status-details-bin", status.SerializeToString()),)


@contextlib.contextmanager
def no_one() -> Iterator[int]:
    """A port on which nobody listens, kept from others meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
