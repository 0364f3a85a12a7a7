"""A client that keeps N requests in flight, and counts what is acknowledged."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal, Protocol

import grpc
import urllib3
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from benchmarks.ingest.payloads import Request

_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_CONNECT_DEADLINE: Final = 10.0
_ANSWER_DEADLINE: Final = 60.0
_GZIP_LEVEL: Final = 6  # zlib's own default, and the Collector's


@dataclass(frozen=True, slots=True)
class Sending:
    """How requests reach the target; `spans_per_second` None sends as fast as it answers."""

    transport: Literal["gRPC", "HTTP"] = "gRPC"
    gzip: bool = False
    connections: int = 1
    spans_per_second: int | None = None

    def __str__(self) -> str:
        parts = [self.transport, *(["gzip"] if self.gzip else [])]
        if self.connections > 1:
            parts.append(f"{self.connections} connections")
        if self.spans_per_second is not None:
            parts.append(f"{self.spans_per_second:,} spans/s")
        return ", ".join(parts)


PLAINLY: Final = Sending()
"""gRPC, uncompressed, on one connection, as fast as the target answers."""


@dataclass(slots=True)
class Answers:
    """What came back: spans that were acknowledged, seconds to each answer, what failed."""

    acknowledged: int = 0
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class RequestError(Exception):
    """A request was not acknowledged; the text says why."""


class Connection(Protocol):
    """One connection to the target."""

    def export(self, body: bytes) -> bytes:
        """Send a serialised request; returns the serialised answer, or raises RequestError."""
        ...

    def close(self) -> None:
        """Disconnect."""
        ...


class GrpcConnection:
    """OTLP over gRPC."""

    def __init__(self, address: str, *, compressed: bool) -> None:
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),  # or all channels share one connection
        ]
        compression = grpc.Compression.Gzip if compressed else None
        self._channel = grpc.insecure_channel(address, options, compression)
        grpc.channel_ready_future(self._channel).result(_CONNECT_DEADLINE)
        self._export = self._channel.unary_unary(
            _EXPORT, request_serializer=None, response_deserializer=None
        )

    def export(self, body: bytes) -> bytes:
        """Send a serialised request."""
        try:
            answer: bytes = self._export(body, timeout=_ANSWER_DEADLINE)
        except grpc.RpcError as error:
            raise RequestError(_reason(error)) from error
        return answer

    def close(self) -> None:
        """Disconnect."""
        self._channel.close()


class HttpConnection:
    """OTLP over HTTP in protobuf, on kept connections: one for each request in flight."""

    def __init__(self, url: str, connections: int, *, compressed: bool) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(maxsize=connections, block=True, retries=False)
        self._compressed = compressed
        self._headers = {"content-type": "application/x-protobuf"}
        if compressed:
            self._headers["content-encoding"] = "gzip"

    def export(self, body: bytes) -> bytes:
        """Send a serialised request."""
        if self._compressed:
            body = gzip.compress(body, _GZIP_LEVEL)
        try:
            answer = self._pool.request(
                "POST", self._url, body=body, headers=self._headers, timeout=_ANSWER_DEADLINE
            )
        except urllib3.exceptions.HTTPError as error:
            raise RequestError(str(error)) from error
        if answer.status != 200:
            raise RequestError(f"{answer.status}: {answer.data[:200]!r}")
        return answer.data

    def close(self) -> None:
        """Disconnect."""
        self._pool.clear()


class Client:
    """Sends requests as a `Sending` says.

    Nothing is sent again: a request that fails makes the figures void. Over HTTP/1.1 each request
    in flight has a connection of its own, whatever `connections` says.
    """

    def __init__(self, grpc_address: str, http_url: str, sending: Sending, in_flight: int) -> None:
        self._rate = sending.spans_per_second
        self._in_flight = in_flight
        self._connections: list[Connection] = []
        if sending.transport == "HTTP":
            self._connections.append(HttpConnection(http_url, in_flight, compressed=sending.gzip))
        else:
            self._connections += (
                GrpcConnection(grpc_address, compressed=sending.gzip)
                for _ in range(sending.connections)
            )

    def __enter__(self) -> Client:
        """Connected already."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Disconnect."""
        for connection in self._connections:
            connection.close()

    def send(self, requests: Sequence[Request]) -> Answers:
        """Send all of them in order, so many at a time, and wait for the answers."""
        answers = Answers()
        waiting = _Schedule(requests, self._rate)
        threads = [
            threading.Thread(
                target=_send_waiting,
                args=(self._connections[i % len(self._connections)], waiting, answers),
            )
            for i in range(min(self._in_flight, len(requests)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers


class _Schedule:
    """Hands out requests, each not before its time."""

    def __init__(self, requests: Sequence[Request], spans_per_second: int | None) -> None:
        self.lock = threading.Lock()
        self._waiting: Iterator[Request] = iter(requests)
        self._rate = spans_per_second
        self._due = time.perf_counter()

    def next_request(self) -> tuple[Request, float] | None:
        """The next one and when it is due, as `perf_counter` tells; None at the end."""
        with self.lock:
            request = next(self._waiting, None)
            due = self._due
            if request is not None and self._rate is not None:
                self._due += request.spans / self._rate
        return None if request is None else (request, due)


def _send_waiting(connection: Connection, waiting: _Schedule, answers: Answers) -> None:
    while (scheduled := waiting.next_request()) is not None:
        request, due = scheduled
        if (early := due - time.perf_counter()) > 0:
            time.sleep(early)
        begun = time.perf_counter()
        try:
            answer = connection.export(request.body)
        except RequestError as error:
            with waiting.lock:
                answers.failures.append(str(error))
            continue
        seconds = time.perf_counter() - begun
        rejected = ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans
        with waiting.lock:
            answers.seconds.append(seconds)
            answers.acknowledged += request.spans - rejected


def _reason(error: grpc.RpcError) -> str:
    return f"{error.code().name}: {error.details()}" if isinstance(error, grpc.Call) else str(error)
