"""A connection before it is encrypted: bounded in number and time like any other."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.server import ServerState

from spanmill.http_server.connection import ConnectionLimits, IdleConnections, LimitedConnection

_GOODBYE_SECONDS: Final = 2.0
"""How long a client may take to answer that the encrypted connection is closed."""


class TlsHandshake(asyncio.Protocol):
    """Shakes hands on a new connection, then hands it to `LimitedConnection`.

    asyncio's own way to serve TLS tells nobody about a connection before its handshake is over:
    it would neither count nor give its place to another. Here it does both, and it must be over
    within `ConnectionLimits.header`.
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
        contexts: Callable[[], ssl.SSLContext],
    ) -> None:
        self._connection = LimitedConnection(
            config, server_state, app_state, _loop, limits=limits, idle=idle
        )
        self._connections: set[Any] = server_state.connections  # uvicorn's type is of its own kinds
        self._limits = limits
        self._idle = idle
        self._contexts = contexts
        self._task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # a stream's transport is always an asyncio.Transport
        """Begin the handshake, or close where all other connections are busy."""
        self.transport = transport
        transport.pause_reading()  # until the other side of the encryption is there
        self._connections.add(self)
        if not self._idle.make_room(len(self._connections)):
            transport.abort()
            return
        self._idle.add(self)
        self._task = asyncio.get_running_loop().create_task(self._secure())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio names it
        """The connection was refused, or cut before its handshake had begun."""
        self._leave()

    def shutdown(self) -> None:
        """The server ends, which asks this of each connection."""
        self.transport.abort()

    def _leave(self) -> None:
        self._connections.discard(self)
        self._idle.discard(self)

    async def _secure(self) -> None:
        early = _Early()
        secured = None
        try:
            with contextlib.suppress(
                OSError, asyncio.CancelledError
            ):  # a client's fault is no news
                secured = await asyncio.get_running_loop().start_tls(
                    self.transport,
                    early,
                    self._contexts(),
                    server_side=True,
                    ssl_handshake_timeout=self._limits.header,
                    ssl_shutdown_timeout=_GOODBYE_SECONDS,
                )
        finally:
            self._leave()
            if secured is None:
                self.transport.abort()
        if secured is None or early.lost:
            return
        secured.set_protocol(self._connection)
        self._connection.connection_made(secured)
        for data in early.data:
            self._connection.data_received(data)
        if early.ended and not secured.is_closing():
            self._connection.eof_received()


class _Early(asyncio.Protocol):
    """Keeps what arrives together with the end of a handshake: a read or two of the socket."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.ended = False
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self.data.append(data)

    def eof_received(self) -> bool:
        self.ended = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio names it
        self.lost = True
