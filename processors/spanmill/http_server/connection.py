"""One connection: uvicorn's HTTP/1.1 protocol with bounds on time and memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final, Protocol

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from spanmill.http_server.certificates import peer_name

CLIENT_CERTIFICATE: Final = "spanmill.client_certificate"
"""The extension in ASGI's scope that has the name in a client's certificate, if it showed one."""

_BUSY: Final = b"too many connections\n"
_HEADERS_TOO_LARGE: Final = b"the headers of this request are too large\n"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a server grants each connection; times in seconds.

    `keep_alive` is longer than the interval of any usual exporter or scrape, so that a client
    doesn't send into a connection that is being closed. `write` is how long a client may take
    nothing of an answer before the connection is cut, `answer` how long the rest of an answer
    may take from the first moment on at which the client is too slow for it.
    """

    max_header_bytes: int = 256 * 1024
    header: float = 10.0
    keep_alive: float = 120.0
    write: float = 30.0
    answer: float = 30.0


class Cut(Protocol):
    """A connection that waits, and can be cut."""

    transport: asyncio.Transport


class IdleConnections:
    """The connections that wait for a whole request header, the longest waiting first.

    Thousands of them must not lock out a client that has something to say: at the limit, a new
    connection takes the place of the one that waits for longest.
    """

    def __init__(self, max_connections: int) -> None:
        self._max_connections = max_connections
        self._waiting: dict[Cut, None] = {}

    def add(self, connection: Cut) -> None:
        """This one waits for a request from now on."""
        self._waiting.pop(connection, None)
        self._waiting[connection] = None

    def discard(self, connection: Cut) -> None:
        """This one is busy, or gone."""
        self._waiting.pop(connection, None)

    def make_room(self, open_connections: int) -> bool:
        """Cut a waiting connection where one too many is open; False where all are busy."""
        if open_connections <= self._max_connections:
            return True
        longest = next(iter(self._waiting), None)
        if longest is None:
            return False
        del self._waiting[longest]
        longest.transport.abort()
        return True


class LimitedConnection(HttpToolsProtocol):
    """HTTP/1.1 on one connection, within `ConnectionLimits`.

    The body of a request has no time limit here: the application that reads it sets one.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits,
        idle: IdleConnections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._idle = idle
        self._header_deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None
        self._answer_deadline: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._unparsed_bytes = 0
        self._in_headers = False
        self._extensions: dict[str, Any] = {}
        self._encrypted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn: a stream's transport is always an asyncio.Transport
        """Take the connection, or answer 503 where all the others are busy."""
        super().connection_made(transport)
        ssl_object = transport.get_extra_info("ssl_object")
        self._encrypted = ssl_object is not None
        if ssl_object is not None and (name := peer_name(ssl_object)) is not None:
            self._extensions = {CLIENT_CERTIFICATE: name}
        if not self._idle.make_room(len(self.connections)):
            self._answer_and_close(b"503 Service Unavailable", _BUSY, b"retry-after: 1\r\n")
            return
        self._idle.add(self)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop every clock of this connection."""
        super().connection_lost(exc)
        self._idle.discard(self)
        self._headers_arrived()
        self._unset_keepalive_if_required()
        self._cancel_write_deadline()
        self._cancel_answer_deadline()

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio takes what uvicorn leaves out
        """Answer a client that closes its own side after a whole request, then close."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body or self._in_headers:
            return False
        if self._encrypted:
            return False  # asyncio's TLS can't stay half open
        cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse a header that never ends."""
        self._unset_keepalive_if_required()
        self._unparsed_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse()
        if self._unparsed_bytes > self._limits.max_header_bytes:
            self._answer_and_close(b"431 Request Header Fields Too Large", _HEADERS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Start the clock for the headers."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions
        self._in_headers = True
        self._header_bytes = 0
        if self._header_deadline is None:
            self._await_headers()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._count_header(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers after the body are counted and dropped."""
        self._unparsed_bytes = 0
        self._count_header(len(name) + len(value))
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the application."""
        if self.parser.should_upgrade():
            return  # `data_received` parses this request once more, without the offer
        self._unparsed_bytes = 0
        self._in_headers = False
        self._headers_arrived()
        self._idle.discard(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is whole."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, or begin with one that came meanwhile."""
        pipelined = bool(self.pipeline)
        super().on_response_complete()
        if not self.flow.write_paused:
            self._cancel_answer_deadline()
        if not pipelined and not self.transport.is_closing():
            self._idle.add(self)

    def pause_writing(self) -> None:
        """The client is slower than the answer: give it some time to read."""
        super().pause_writing()
        loop = asyncio.get_running_loop()
        self._write_deadline = loop.call_later(self._limits.write, self.transport.abort)
        if self._answer_deadline is None:
            self._answer_deadline = loop.call_later(self._limits.answer, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read on."""
        super().resume_writing()
        self._cancel_write_deadline()
        if self.cycle is None or self.cycle.response_complete:
            self._cancel_answer_deadline()

    def _await_headers(self) -> None:
        loop = asyncio.get_running_loop()
        self._header_deadline = loop.call_later(self._limits.header, self.transport.abort)

    def _headers_arrived(self) -> None:
        if self._header_deadline is not None:
            self._header_deadline.cancel()
            self._header_deadline = None

    def _cancel_write_deadline(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _cancel_answer_deadline(self) -> None:
        if self._answer_deadline is not None:
            self._answer_deadline.cancel()
            self._answer_deadline = None

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self._limits.max_header_bytes:
            raise ValueError("the headers are too large")  # the parser stops, and has us answer

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Ignore an offer to change to another protocol, as RFC 9110 7.8 has it.

        Some clients send one with every POST (h2c), and httptools would drop the body.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._answer_and_close(b"501 Not Implemented", b"this is not a proxy\n")
            return
        version = self.parser.get_http_version().encode()
        headers = [b"%s: %s\r\n" % pair for pair in self.headers if pair[0] != b"upgrade"]
        head = b"%s %s HTTP/%s\r\n%s\r\n" % (method, self.url, version, b"".join(headers))
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(head + rest)

    def _refuse(self) -> None:
        if self._header_bytes > self._limits.max_header_bytes:
            self._answer_and_close(b"431 Request Header Fields Too Large", _HEADERS_TOO_LARGE)
        else:
            self._answer_and_close(b"400 Bad Request", b"this is not HTTP/1.1\n")

    def _answer_and_close(self, status: bytes, body: bytes, more_headers: bytes = b"") -> None:
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.abort()  # another answer is half-way through
            return
        head = b"HTTP/1.1 %s\r\ncontent-type: text/plain; charset=utf-8\r\n%s" % (
            status,
            more_headers,
        )
        length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(head + length + body)
        self.transport.close()
