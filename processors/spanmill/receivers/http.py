"""OTLP over HTTP, in protobuf and in JSON."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import grpc

from spanmill.config.cors import CorsConfig
from spanmill.errors import TooLargeError, UnauthenticatedError, UnavailableError
from spanmill.http_server import ConnectionLimits, HttpServer
from spanmill.http_server.asgi import Receive, Scope, Send
from spanmill.http_server.authorization import BEARER_CHALLENGE
from spanmill.journal.log import RETRY_AFTER_SECONDS
from spanmill.receivers.admission import UNLIMITED, Admission, Reservation, effective_request_size
from spanmill.receivers.auth import Clients
from spanmill.receivers.body_deadline import BODY_SECONDS, SLOW_SECONDS
from spanmill.receivers.compression import inflate_gzip
from spanmill.receivers.cors import Cors
from spanmill.receivers.intake import (
    FirstCopyFailedError,
    Intake,
    Receipt,
    RequestCounts,
    RequestSignal,
)
from spanmill.receivers.request_cost import json_cost
from spanmill.receivers.status import (
    Encoding,
    Refusal,
    refusal_body,
    refusal_of,
    success_body,
    unsupported,
)

_NAME: Final = "http"
_REFUSED_PATHS: Final[dict[bytes, RequestSignal]] = {
    b"/v1/logs": "logs",
    b"/v1development/profiles": "profiles",
}
_ENCODINGS: Final = {encoding.value.encode(): encoding for encoding in Encoding}
_JSON_THREADS: Final = 2
_FIRST_BYTES: Final = 64 * 1024
_RECEIVER_HEADER_BYTES: Final = 64 * 1024
_CONTENT_ENCODINGS: Final = {b"": False, b"identity": False, b"gzip": True, b"x-gzip": True}


@dataclass(frozen=True, slots=True)
class _Request:
    """The head of a request; `encoding` is JSON where the content type is not OTLP's.

    `source` is the client's identity, once that is known.
    """

    method: str
    path: bytes
    known_type: bool
    encoding: Encoding
    content_encoding: bytes
    content_length: int
    expects_continue: bool
    source: str = ""


@dataclass(frozen=True, slots=True)
class _Route:
    """Where a path leads to."""

    intake: Intake
    counts: RequestCounts


class OtlpHttpApp:
    """The ASGI application: one request in, one answer out, nothing raised.

    Requests are decoded in threads; the event loop waits for their commit, so that any number
    of requests shares one.
    """

    def __init__(
        self,
        intakes: Sequence[Intake],
        max_request_size: int,
        decode_threads: int = 8,
        admission: Admission | None = None,
        clients: Clients | None = None,
    ) -> None:
        self._clients = clients or Clients(None, intakes[0].clock)
        self._routes = {
            intake.taken.path: _Route(intake, intake.counts(_NAME)) for intake in intakes
        }
        self._paths = " and ".join(path.decode() for path in self._routes)
        self._refuse_signal = intakes[0].refuse_signal
        self._admission = admission or Admission(UNLIMITED, intakes[0].clock)
        self._max_request_size = effective_request_size(max_request_size, self._admission.budget)
        # JSON takes ten times as long: a few such requests must not hold up the others.
        self._threads = {
            Encoding.PROTOBUF: ThreadPoolExecutor(decode_threads, "http-decode"),
            Encoding.JSON: ThreadPoolExecutor(_JSON_THREADS, "http-decode-json"),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        request = _read_head(scope)
        route = self._routes.get(request.path)
        refused_signal = _REFUSED_PATHS.get(request.path)
        if refused_signal is not None:
            self._refuse_signal(_NAME, refused_signal)
            message = unsupported(refused_signal)
            await _refuse(send, request, Refusal(grpc.StatusCode.UNIMPLEMENTED, 404, message))
        elif route is None:
            message = f"no such path; OTLP is taken at {self._paths}"
            await _refuse(send, request, Refusal(grpc.StatusCode.NOT_FOUND, 404, message))
        elif request.method != "POST":
            message = "OTLP is sent with POST"
            await _refuse(send, request, Refusal(grpc.StatusCode.UNIMPLEMENTED, 405, message))
        elif isinstance(client := self._client(scope), Refusal):
            route.counts.refused()
            await _refuse(send, request, client)
        else:
            await self._serve(route, replace(request, source=client), receive, send)

    def close(self) -> None:
        """Let go of the threads."""
        for threads in self._threads.values():
            threads.shutdown(wait=False)

    def _client(self, scope: Scope) -> str | Refusal:
        try:
            return self._clients.of_request(scope)
        except UnauthenticatedError as error:
            return refusal_of(error)

    async def _serve(self, route: _Route, request: _Request, receive: Receive, send: Send) -> None:
        try:
            answer = self._refusal_by_head(request) or await self._take(route, request, receive)
        except asyncio.CancelledError:
            # The server's deadline is over. Its own 500 would have the client drop them.
            route.counts.refused()
            ending = UnavailableError("the process is shutting down", RETRY_AFTER_SECONDS)
            await _refuse(send, request, refusal_of(ending))
            raise
        if answer is None:
            return  # the client has gone; half a request counts nowhere
        if isinstance(answer, Refusal):
            route.counts.refused()
            await _refuse(send, request, answer)
        else:
            body = success_body(answer, route.intake.taken, request.encoding)
            await _answer(send, 200, request.encoding, body)

    def _refusal_by_head(self, request: _Request) -> Refusal | None:
        """What is refused before a byte of the body is read."""
        if not request.known_type:
            allowed = " or ".join(encoding.value for encoding in Encoding)
            message = f"the Content-Type must be {allowed}"
            return Refusal(grpc.StatusCode.INVALID_ARGUMENT, 415, message)
        if request.content_encoding not in _CONTENT_ENCODINGS:
            message = "the Content-Encoding must be gzip or identity"
            return Refusal(grpc.StatusCode.INVALID_ARGUMENT, 415, message)
        if request.content_length > self._max_request_size:
            return refusal_of(TooLargeError(self._max_request_size, "the body"))
        return None

    async def _take(
        self, route: _Route, request: _Request, receive: Receive
    ) -> Receipt | Refusal | None:
        """Read the body, decode it in a thread, and wait for the commit here."""
        try:
            with self._admission.reserve(request.source, _first_bytes(request)) as room:
                body = await self._read_body(receive, room)
                if body is None:
                    return None
                arrived = route.counts.arrived()
                receipt = await self._commit(route.intake, body, request, room)
        except TimeoutError:
            message = f"the body was not whole after {BODY_SECONDS:.0f} s"
            return Refusal(grpc.StatusCode.DEADLINE_EXCEEDED, 408, message)
        except Exception as error:  # noqa: BLE001 - refusal_of logs what nobody expected
            return refusal_of(error)
        route.counts.acknowledged(receipt, arrived)
        return receipt

    async def _read_body(self, receive: Receive, room: Reservation) -> bytes | None:
        """The whole body, or None where the client goes away before its end.

        Raises TooLargeError as soon as the limit is passed, UnavailableError where there is no
        room for it or it keeps others waiting, and TimeoutError; the server drops what still
        comes.
        """
        pieces: list[bytes] = []
        size = 0
        loop = asyncio.get_running_loop()
        begun = loop.time()
        look_up = begun + SLOW_SECONDS
        while True:
            try:
                async with asyncio.timeout_at(min(look_up, begun + BODY_SECONDS)):
                    message = await receive()
            except TimeoutError:
                look_up = self._go_on_reading(loop.time(), begun)
                continue
            if message["type"] == "http.disconnect":
                return None
            piece = message.get("body", b"")
            size += len(piece)
            if size > self._max_request_size:
                raise TooLargeError(self._max_request_size, "the body")
            room.at_least(2 * size)  # the pieces, and what they are joined to
            pieces.append(piece)
            if not message.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if loop.time() > look_up:  # a slow body that never pauses for long
                look_up = self._go_on_reading(loop.time(), begun)

    def _go_on_reading(self, now: float, begun: float) -> float:
        """When to look at a slow body again; raises where it has had its time."""
        if now >= begun + BODY_SECONDS:
            raise TimeoutError
        if self._admission.pressed:
            raise UnavailableError("a slow body kept others waiting", RETRY_AFTER_SECONDS)
        return now + 1.0

    async def _commit(
        self, intake: Intake, body: bytes, request: _Request, room: Reservation
    ) -> Receipt:
        loop = asyncio.get_running_loop()
        threads = self._threads[request.encoding]
        while True:
            committed = await loop.run_in_executor(
                threads, self._decode, intake, body, request, room
            )
            with contextlib.suppress(FirstCopyFailedError):
                return await asyncio.wrap_future(committed)

    def _decode(
        self, intake: Intake, body: bytes, request: _Request, room: Reservation
    ) -> Future[Receipt]:
        if _CONTENT_ENCODINGS[request.content_encoding]:
            size = len(body)
            body = inflate_gzip(
                body,
                self._max_request_size,
                members="many",
                grow=lambda inflated: room.at_least(size + inflated),
            )
        if request.encoding is Encoding.JSON:
            room.resize(len(body) + json_cost(body))
            body = intake.taken.from_json(body)
        return intake.take(body, request.source, room)


class HttpReceiver:
    """Takes each intake's signal over HTTP on one address."""

    name: Final = _NAME

    def __init__(
        self,
        intakes: Sequence[Intake],
        host: str,
        port: int,
        max_request_size: int,
        *,
        max_connections: int = 1000,
        admission: Admission | None = None,
        clients: Clients | None = None,
        cors: CorsConfig | None = None,
        contexts: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._app = OtlpHttpApp(intakes, max_request_size, admission=admission, clients=clients)
        limits = ConnectionLimits(max_header_bytes=_RECEIVER_HEADER_BYTES)
        self._server = HttpServer(
            self._app if cors is None else Cors(self._app, cors),
            host,
            port,
            "OTLP HTTP receiver",
            max_connections,
            limits=limits,
            contexts=contexts,
        )

    @property
    def port(self) -> int:
        """The port; where 0 was asked for, the free one that `bind` has found."""
        return self._server.port

    @property
    def endpoint(self) -> str:
        """Host and port, as one writes them in an address."""
        return self._server.endpoint

    def bind(self) -> None:
        """Take the address; clients wait for `start` from now on. Raises StartError."""
        self._server.bind()

    def start(self) -> None:
        """Answer requests. Raises StartError."""
        self._server.start()

    def stop(self, grace_seconds: float) -> None:
        """Take no new requests, answer those in flight, and cut what is left at the end."""
        self._server.stop(max(0.0, grace_seconds))
        self._app.close()


def _read_head(scope: Scope) -> _Request:
    content_type = content_encoding = b""
    content_length = 0
    expects_continue = False
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value.partition(b";")[0].strip().lower()
        elif name == b"content-encoding":
            content_encoding += b"," * bool(content_encoding) + value.strip().lower()
        elif name == b"content-length" and value.isdigit():
            content_length = int(value)
        elif name == b"expect":
            expects_continue = True
    return _Request(
        method=scope["method"],
        path=scope["raw_path"],  # as sent: an encoded slash is no slash
        known_type=content_type in _ENCODINGS,
        encoding=_ENCODINGS.get(content_type, Encoding.JSON),
        content_encoding=content_encoding,
        content_length=content_length,
        expects_continue=expects_continue,
    )


def _first_bytes(request: _Request) -> int:
    """What a request holds before its body comes: more is asked for as it does."""
    return min(request.content_length, _FIRST_BYTES)


async def _refuse(send: Send, request: _Request, refusal: Refusal) -> None:
    headers = []
    if refusal.http_status == 401:
        headers.append((b"www-authenticate", BEARER_CHALLENGE))
    if refusal.http_status == 405:
        headers.append((b"allow", b"POST"))
    if refusal.retry_after_header is not None:
        headers.append((b"retry-after", refusal.retry_after_header))
    if request.expects_continue:
        # Whether the body still comes is the client's choice: only a new connection is clear.
        headers.append((b"connection", b"close"))
    body = refusal_body(refusal, request.encoding)
    await _answer(send, refusal.http_status, request.encoding, body, headers)


async def _answer(
    send: Send,
    status: int,
    encoding: Encoding,
    body: bytes,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    head = [
        (b"content-type", encoding.value.encode()),
        (b"content-length", b"%d" % len(body)),
        *(headers or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
