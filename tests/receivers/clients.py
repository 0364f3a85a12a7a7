"""A client for each transport, with one face: a body goes in, an answer comes out."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import grpc
from google.rpc import error_details_pb2, status_pb2

from receivers.sent_signals import TRACES, SentSignal

EXPORT = TRACES.method
TIMEOUT = 20.0
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
Transport = Literal["grpc", "http-protobuf", "http-json"]


@dataclass(frozen=True)
class Answer:
    """What a client sees; `code` is a gRPC code's name or an HTTP status."""

    ok: bool
    code: str | int
    message: str = ""
    rejected: int = 0
    retry_after: float | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def undecodable(self) -> bool:
        """Whether it says that the body is wrong, and doesn't ask for it again."""
        return self.code in ("INVALID_ARGUMENT", 400) and self.retry_after is None


class Client(Protocol):
    """Sends requests over one transport."""

    transport: Transport

    def send(self, body: bytes, *, compressed: bool = False) -> Answer:
        """Send a request that is given in protobuf."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class GrpcClient:
    """OTLP over gRPC with raw bytes."""

    transport: Transport = "grpc"

    def __init__(self, port: int, signal: SentSignal = TRACES, *, timeout: float = TIMEOUT) -> None:
        self.signal = signal
        self.timeout = timeout
        # Without a channel argument of its own, channels to one address share a connection.
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self.export = self.method(signal.method)

    def method(self, path: str) -> grpc.UnaryUnaryMultiCallable[bytes, bytes]:
        """Any method that takes and returns one message."""
        return self.channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)

    def send(self, body: bytes, *, compressed: bool = False) -> Answer:
        """Send a request and wait for its answer."""
        compression = grpc.Compression.Gzip if compressed else grpc.Compression.NoCompression
        try:
            response, call = self.export.with_call(
                body, timeout=self.timeout, compression=compression
            )
        except grpc.RpcError as error:
            return refused_by_grpc(error)
        headers = {key: str(value) for key, value in call.initial_metadata()}
        return _taken("OK", self.signal.partial_success(response), response, headers)

    def close(self) -> None:
        """Let go of the connection."""
        self.channel.close()


class HttpClient:
    """OTLP over HTTP on one kept-alive connection."""

    def __init__(
        self,
        port: int,
        media_type: str,
        signal: SentSignal = TRACES,
        *,
        timeout: float = TIMEOUT,
    ) -> None:
        self.signal = signal
        self.transport: Transport = "http-json" if media_type == JSON else "http-protobuf"
        self.media_type = media_type
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def send(self, body: bytes, *, compressed: bool = False) -> Answer:
        """Send a request, given in protobuf, in this client's encoding."""
        body = self.signal.to_json(body) if self.media_type == JSON else body
        return self.send_encoded(
            gzip.compress(body) if compressed else body,
            {"Content-Encoding": "gzip"} if compressed else {},
        )

    def send_encoded(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send exactly these bytes."""
        return self.call(
            "POST", self.signal.path, body, {"Content-Type": self.media_type, **headers}
        )

    def call(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send any HTTP request."""
        self.connection.request(method, path, body, dict(headers))
        response = self.connection.getresponse()
        got = dict(response.getheaders())
        return http_answer(response.status, got, response.read(), self.signal)

    def close(self) -> None:
        """Let go of the connection."""
        self.connection.close()


def refused_by_grpc(error: grpc.RpcError) -> Answer:
    """The answer that grpcio's client raises."""
    assert isinstance(error, grpc.Call)
    return Answer(
        ok=False,
        code=error.code().name,
        message=error.details() or "",
        retry_after=_retry_info(dict(error.trailing_metadata() or ())),
    )


def http_answer(
    status: int, headers: Mapping[str, str], body: bytes, signal: SentSignal = TRACES
) -> Answer:
    """The answer in an HTTP response, read in the encoding that it says it has."""
    headers = {name.lower(): value for name, value in headers.items()}
    is_json = headers["content-type"] == JSON
    if status == 200:
        read = signal.partial_success_in_json if is_json else signal.partial_success
        return _taken(200, read(body), body, headers)
    message = json.loads(body)["message"] if is_json else status_pb2.Status.FromString(body).message
    retry_after = headers.get("retry-after")
    return Answer(
        ok=False,
        code=status,
        message=message,
        retry_after=None if retry_after is None else float(retry_after),
        body=body,
        headers=headers,
    )


def _taken(
    code: str | int, partial: tuple[int, str], body: bytes, headers: Mapping[str, str]
) -> Answer:
    rejected, message = partial
    return Answer(
        ok=True, code=code, message=message, rejected=rejected, body=body, headers=headers
    )


def _retry_info(trailers: Mapping[str, str | bytes]) -> float | None:
    details = trailers.get("grpc-status-details-bin")
    if not isinstance(details, bytes):
        return None
    for detail in status_pb2.Status.FromString(details).details:
        retry_info = error_details_pb2.RetryInfo()
        if detail.Unpack(retry_info):
            delay: float = retry_info.retry_delay.ToNanoseconds() / 1e9
            return delay
    return None
