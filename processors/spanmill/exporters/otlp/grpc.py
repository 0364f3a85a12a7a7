"""Sends requests over OTLP/gRPC."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from spanmill.exporters.otlp.answer import read_success, shorten
from spanmill.exporters.otlp.sender import Delivered, Permanent, Reply, Retry, TooLarge
from spanmill.exporters.otlp.settings import DestinationSettings
from spanmill.exporters.otlp.tls import channel_credentials

LONGEST_ANSWER: Final = 64 * 1024
"""Bytes of an answer that are read."""

_RETRYABLE: Final = frozenset(  # OTLP specification, "Failures" of OTLP/gRPC
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_NO_CONNECTION: Final = frozenset({grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE})
_WHATEVER_THE_CONTENT: Final = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


class GrpcSender:
    """One destination's channel."""

    def __init__(self, settings: DestinationSettings) -> None:
        self._path = settings.signal.method
        self._target = settings.endpoint.authority
        self._metadata = _metadata(settings.headers)
        self._credentials = channel_credentials(settings) if settings.endpoint.secure else None
        self._options = _channel_options(settings)
        self._compression = (
            grpc.Compression.Gzip
            if settings.compression == "gzip"
            else grpc.Compression.NoCompression
        )
        self._lock = threading.Lock()
        self._closed = False
        self._channel = self._open()
        self._export = self._method()

    def send(self, payload: bytes, timeout: float) -> Reply:
        """Send one request and wait for its answer, `timeout` seconds for all of it."""
        try:
            answer = self._export(payload, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            return self._failure(error, timeout)
        except ValueError:
            # What grpcio raises for a call on a channel that was closed meanwhile.
            if not self._closed:
                raise
            return Retry("the sender is closed")
        return read_success(answer)

    def close(self) -> None:
        """End a request in flight, from any thread, and let go of the channel."""
        with self._lock:
            self._closed = True
            self._channel.close()

    def _open(self) -> grpc.Channel:
        if self._credentials is None:
            return grpc.insecure_channel(self._target, self._options, self._compression)
        return grpc.secure_channel(
            self._target, self._credentials, self._options, self._compression
        )

    def _method(self) -> Callable[..., bytes]:
        return self._channel.unary_unary(self._path, bytes, bytes)  # as they are

    def _reconnect(self) -> None:
        with self._lock:
            if not self._closed:
                self._channel.close()
                self._channel = self._open()
                self._export = self._method()

    def _failure(self, error: grpc.RpcError, timeout: float) -> Reply:
        assert isinstance(error, grpc.Call)  # what a finished call raises is both
        code, words = error.code(), shorten(error.details() or "")
        after = _retry_info(error)
        if code in _NO_CONNECTION and after is None:
            # The connection may be dead without a word, and a channel that found nobody tries
            # again by a back-off of its own: the next attempt is to begin anew.
            self._reconnect()
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return Retry(f"no answer within {timeout:g} s", unanswered=True)
        reason = f"{code.name}: {words}" if words else code.name
        if code in _RETRYABLE:
            return Retry(reason, after, unanswered=_broke_off(code, words))
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            if after is not None:
                return Retry(reason, after)
            if "CLIENT: Received message larger than max" in words:
                return Delivered(unreadable=True)
            if "larger than max" in words:  # grpc-go and grpc's core both say so
                return TooLarge(reason)
        return Permanent(reason, by_content=code not in _WHATEVER_THE_CONTENT)


def _broke_off(code: grpc.StatusCode, words: str) -> bool:
    """Whether a connection that was there ended during the call."""
    return code is grpc.StatusCode.UNAVAILABLE and any(
        sign in words for sign in ("Socket closed", "Connection reset", "Broken pipe", "GOAWAY")
    )


def _retry_info(error: grpc.Call) -> float | None:
    """Seconds from the RetryInfo of the call's rich status, where there is one."""
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin" or not isinstance(value, bytes):
            continue
        try:
            for detail in Status.FromString(value).details:
                info = RetryInfo()
                if detail.Unpack(info):
                    delay = info.retry_delay
                    return max(0.0, float(delay.seconds + delay.nanos / 1e9))
        except DecodeError:
            return None
    return None


def _metadata(headers: Mapping[str, str]) -> tuple[tuple[str, str | bytes], ...]:
    """Headers as gRPC takes them; the user agent is an option of the channel."""
    names = ((name.lower(), value) for name, value in headers.items())
    return tuple(
        (name, value.encode() if name.endswith("-bin") else value)
        for name, value in names
        if name != "user-agent"
    )


def _user_agent(settings: DestinationSettings) -> str:
    named = {name.lower(): value for name, value in settings.headers.items()}
    return named.get("user-agent", settings.user_agent)


def _channel_options(settings: DestinationSettings) -> list[tuple[str, int | str]]:
    return [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", LONGEST_ANSWER),
        ("grpc.primary_user_agent", _user_agent(settings)),
        # A new channel is to be a new connection, not one shared with the channel before.
        ("grpc.use_local_subchannel_pool", 1),
        # As over HTTP, no proxy from the environment.
        ("grpc.enable_http_proxy", 0),
    ]
