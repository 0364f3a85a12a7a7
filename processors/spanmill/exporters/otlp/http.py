"""Sends requests over OTLP/HTTP with protobuf bodies."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.client import BadStatusLine, HTTPResponse, RemoteDisconnected, UnknownProtocol
from typing import Any, Final

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.response import BaseHTTPResponse

from spanmill.clock import Clock
from spanmill.exporters.otlp.answer import read_status, read_success, shorten
from spanmill.exporters.otlp.request_deadline import RequestDeadline
from spanmill.exporters.otlp.sender import Delivered, Permanent, Reply, Retry, TooLarge
from spanmill.exporters.otlp.settings import DestinationSettings
from spanmill.exporters.otlp.tls import client_context

LONGEST_BODY: Final = 64 * 1024
"""Bytes of an answer that are read."""

# OTLP specification, "Retryable Response Codes".
_RETRYABLE: Final = frozenset({429, 502, 503, 504})
_TOO_LARGE: Final = 413
_WHATEVER_THE_CONTENT: Final = frozenset({401, 403, 404, 405, 407, 410, 415, 421, 501, 505})
_NO_HTTP: Final = "what answers there does not speak HTTP/1.1"
_CLOSED: Final = "the sender is closed"
_GZIP_LEVEL: Final = 1  # requests compress well at any level, and time is what is short


class HttpSender:
    """One destination's kept-alive connection."""

    def __init__(self, settings: DestinationSettings, clock: Clock) -> None:
        endpoint = settings.endpoint
        self._clock = clock
        path = settings.signal.path
        self._path = endpoint.path.removesuffix(path) + path
        self._gzip = settings.compression == "gzip"
        self._headers = {
            "user-agent": settings.user_agent,
            **{name.lower(): value for name, value in settings.headers.items()},
            "content-type": "application/x-protobuf",
        }
        if self._gzip:
            self._headers["content-encoding"] = "gzip"
        self._deadline = RequestDeadline(settings.name, clock)
        self._pool: HTTPConnectionPool = (
            _SecurePool(
                endpoint.host,
                endpoint.port,
                deadline=self._deadline,
                ssl_context=client_context(settings),
            )
            if endpoint.secure
            else _Pool(endpoint.host, endpoint.port, deadline=self._deadline)
        )

    def send(self, payload: bytes, timeout: float) -> Reply:
        """Send one request and wait for its answer, `timeout` seconds for all of it."""
        body = gzip.compress(payload, _GZIP_LEVEL, mtime=0) if self._gzip else payload
        with self._deadline.within(timeout):
            connections = self._pool.num_connections
            try:
                return self._exchange(body)
            except ProtocolError as error:
                # A kept-alive connection that the peer closed while we sent on it says nothing
                # about the peer's health: a new one gets its chance at once.
                if self._pool.num_connections > connections or self._cut_off():
                    return self._failure(error, timeout)
            except (HTTPError, OSError) as error:
                return self._failure(error, timeout)
            try:
                return self._exchange(body)
            except (HTTPError, OSError) as error:
                return self._failure(error, timeout)

    def close(self) -> None:
        """End a request in flight, from any thread, and let go of the connection."""
        self._deadline.close()
        self._pool.close()

    def _exchange(self, body: bytes) -> Reply:
        remaining = self._deadline.remaining()
        response = self._pool.urlopen(
            "POST",
            self._path,
            body=body,
            headers=self._headers,
            retries=False,
            redirect=False,
            timeout=Timeout(connect=remaining, read=remaining),
            preload_content=False,
        )
        if self._cut_off():
            # The library takes headers that break off for complete ones.
            response.close()
            raise ProtocolError("the answer broke off in its headers")
        return self._read(response)

    def _read(self, response: BaseHTTPResponse) -> Reply:
        text = self._read_body(response)
        if text is None and self._deadline.closed:
            return Retry(_CLOSED)  # what the answer would have said of the request isn't known
        if 200 <= response.status < 300:
            return Delivered(unreadable=True) if text is None else read_success(text)
        words = read_status(text or b"")
        reason = f"answered {response.status}" + (f": {words}" if words else "")
        if response.status in _RETRYABLE:
            return Retry(reason, after=self._retry_after(response.headers))
        if response.status == _TOO_LARGE:
            return TooLarge(reason)
        same_for_all = 300 <= response.status < 400 or response.status in _WHATEVER_THE_CONTENT
        return Permanent(reason, by_content=not same_for_all)

    def _read_body(self, response: BaseHTTPResponse) -> bytes | None:
        """The whole body; None where it breaks off or is too long, and the connection ends."""
        try:
            body = response.read(LONGEST_BODY + 1, decode_content=True)
        except (HTTPError, OSError):
            response.close()
            return None
        # A body without a length is over when the connection is, even if we ended that.
        if len(body) > LONGEST_BODY or self._cut_off():
            response.close()
            return None
        response.release_conn()
        return body

    def _retry_after(self, headers: Mapping[str, str]) -> float | None:
        """Seconds, from a number or a date (RFC 9110, section 10.2.3); None from anything else."""
        value = headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value)
        try:
            moment = parsedate_to_datetime(value)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            seconds = moment.timestamp()
        except (ValueError, OverflowError):  # the latter of years and zones of many digits
            return None
        return max(0.0, seconds - self._clock.time_ns() / 1e9)

    def _cut_off(self) -> bool:
        return self._deadline.passed or self._deadline.closed

    def _failure(self, error: Exception, timeout: float) -> Retry:
        if self._deadline.closed:
            return Retry(_CLOSED)
        greeting = _no_http(error)
        # Text that was cut off may have been the beginning of HTTP; frames of HTTP/2 were not.
        if greeting == "" or (greeting and not self._deadline.passed):
            hint = f": {shorten(greeting)}" if greeting else " (a gRPC port?)"
            return Retry(_NO_HTTP + hint)
        late = self._deadline.passed or isinstance(_root(error), TimeoutError)
        if isinstance(error, NameResolutionError):
            reason = f"the name {self._pool.host} can't be resolved"
        elif isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
            reason = f"no connection within {timeout:g} s"
        elif isinstance(error, SSLError):
            reason = f"TLS: {_words(error)}"
        elif late:
            reason = f"no complete answer within {timeout:g} s"
        else:
            reason = _words(error)
        return Retry(reason, unanswered=isinstance(error, (ProtocolError, ReadTimeoutError)))


class _FinalResponse(HTTPResponse):
    """Passes over every interim answer (RFC 9110, section 15.2); the base only over 100."""

    def begin(self) -> None:
        super().begin()
        while self.status < 200:
            # Without headers the base reads the next answer. A peer that has no end of them is
            # ended by the request's deadline.
            self.headers = self.msg = None  # type: ignore[assignment]  # as the base begins
            super().begin()


class _Connection(HTTPConnection):
    response_class = _FinalResponse

    def __init__(self, *args: Any, deadline: RequestDeadline, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline = deadline

    def connect(self) -> None:
        super().connect()
        self._deadline.guard(self.sock)

    def close(self) -> None:
        super().close()
        self._deadline.ended()


class _SecureConnection(_Connection, HTTPSConnection):
    """Over TLS; the handshake has one timeout of its own, what is left of the request's."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _root(error: BaseException) -> BaseException:
    """The innermost error that the library wrapped."""
    while True:
        inner = next((a for a in error.args if isinstance(a, BaseException)), error.__cause__)
        if inner is None or inner is error:
            return error
        error = inner


def _no_http(error: Exception) -> str | None:
    """What came back that doesn't begin as an answer of HTTP/1 does; empty if it is no text."""
    root = _root(error)
    if isinstance(root, RemoteDisconnected) or not isinstance(
        root, (BadStatusLine, UnknownProtocol)
    ):
        return None
    line = str(root).strip()
    return line if line.isascii() and line.isprintable() else ""


def _words(error: Exception) -> str:
    root = _root(error)
    if isinstance(root, ssl.SSLCertVerificationError):
        return shorten(root.verify_message or str(root)).lower()
    if isinstance(root, OSError) and root.strerror:
        return root.strerror.lower()
    return shorten(str(root)).lower()
