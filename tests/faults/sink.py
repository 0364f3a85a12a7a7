"""A destination that records which spans came with which request, on which connection."""

from __future__ import annotations

import asyncio
import threading
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httptools

from faults.numbered import numbers_in

_ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
)
_NEVER: Final = 0


@dataclass(frozen=True, slots=True)
class Double:
    """A span that came again: its number, and the requests that it came with (from 1)."""

    number: int
    before: int
    again: int


@dataclass(slots=True)
class _Peer:
    """A connection: its last request so far."""

    last_request: int = _NEVER


class Sink:
    """OTLP over HTTP/1.1 on a port of its own; every request is taken, and read at once.

    `life` numbers the processes that send; whoever starts one raises it. While it is `away` it
    cuts every connection that sends a request, and takes nothing. Four bytes a span.
    """

    def __init__(self) -> None:
        self.life = 0
        self.away = False
        self.doubles: list[Double] = []
        self.spans = 0
        """Different spans that came."""
        self._with_request = array("I")
        self._peers: list[_Peer] = [_Peer()]
        self._lives: list[int] = [0]
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self.port = 0
        self._thread = threading.Thread(target=self._serve, name="sink", daemon=True)
        self._thread.start()
        self._started.wait()

    def close(self) -> None:
        """Take nothing more."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def missing(self, numbers: int) -> list[int]:
        """Those of the first `numbers` spans that never came."""
        known = len(self._with_request)
        return [n for n in range(numbers) if n >= known or not self._with_request[n]]

    def unexcused(self) -> list[Double]:
        """Doubles of a request whose answer the process that sent it had read.

        A connection carries one request at a time: the next request on it says that the answer
        was read. So only the last request of a connection may have been left unanswered, and
        only another process may send its spans again.
        """
        return [
            double
            for double in self.doubles
            if self._peers[double.before].last_request != double.before
            or self._lives[double.before] == self._lives[double.again]
        ]

    def took(self, peer: _Peer, body: bytes) -> bool:
        """Record a request; False where nothing is taken now."""
        if self.away:
            return False
        request = len(self._peers)
        peer.last_request = request
        self._peers.append(peer)
        self._lives.append(self.life)
        known = self._with_request
        for number in numbers_in(body):
            if number >= len(known):
                known.extend([_NEVER] * (number + 1024 - len(known)))
            if known[number]:
                self.doubles.append(Double(number, known[number], request))
            else:
                self.spans += 1
            known[number] = request
        return True

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Connection(self.took), "127.0.0.1", 0)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()


class _Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, took: Callable[[_Peer, bytes], bool]) -> None:
        self._took = took
        self._peer = _Peer()
        self._body: list[bytes] = []
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # a TCP server makes no other
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = []

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        assert self._transport is not None  # data comes after the connection was made
        if self._took(self._peer, b"".join(self._body)):
            self._transport.write(_ANSWER)
        else:
            self._transport.abort()
