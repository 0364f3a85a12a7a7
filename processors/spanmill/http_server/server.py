"""The server: binds first, serves in its own thread, ends within a deadline."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from typing import cast

import uvicorn

from spanmill.config.endpoints import ListenAddress
from spanmill.errors import StartError, listen_failure
from spanmill.http_server.asgi import App, Receive, Scope, Send
from spanmill.http_server.connection import ConnectionLimits, IdleConnections, LimitedConnection
from spanmill.http_server.handshake import TlsHandshake

logger = logging.getLogger(__name__)

_BACKLOG = 1024
_LAST_TASKS_SECONDS = 1.0
_LAST_ANSWERS_SECONDS = 0.5


class HttpServer:
    """Serves an ASGI application over HTTP/1.1 on one address, in a thread of its own.

    `name` says in errors and logs what this server is ("scrape endpoint"). An exception that
    the application lets out is logged and answered with 500; the server goes on.
    `contexts` is asked for the TLS context of each new connection; without it none is encrypted.
    """

    def __init__(
        self,
        app: App,
        host: str,
        port: int,
        name: str,
        max_connections: int = 1000,
        *,
        limits: ConnectionLimits | None = None,
        contexts: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._name = name
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._server = _Server(
            _Guarded(app, name), limits or ConnectionLimits(), max_connections, contexts
        )

    @property
    def port(self) -> int:
        """The port; where 0 was asked for, the free one that `bind` has found."""
        return self._port

    @property
    def endpoint(self) -> str:
        """Host and port, as one writes them in an address."""
        return str(ListenAddress(self._host, self._port))

    def bind(self) -> None:
        """Take the address, so that a conflict shows before anything starts.

        Clients may connect from now on and wait for `start`. Raises StartError.
        """
        try:
            self._socket = _listen(self._host, self._port)
        except (OSError, UnicodeError, OverflowError) as error:
            raise StartError(f"{self._name} {self.endpoint}: {listen_failure(error)}") from error
        self._port = self._socket.getsockname()[1]

    def start(self) -> None:
        """Serve; returns once requests are answered. Raises StartError."""
        if self._socket is None:
            self.bind()
        self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
        self._thread.start()
        self._server.settled.wait()
        if not self._server.started:
            raise StartError(f"{self._name} {self.endpoint}: the server did not start")

    def stop(self, timeout: float) -> None:
        """Refuse new connections, let running requests end, and cut what is left.

        Returns within `timeout` seconds and a moment; does nothing where it isn't running.
        """
        if self._socket is not None and self._thread is None:
            self._socket.close()
        if self._thread is None:
            return
        self._server.end_within(timeout)
        self._thread.join(timeout + _LAST_TASKS_SECONDS)
        if self._thread.is_alive():
            logger.warning("a request did not end in time", extra={"server": self._name})

    def _serve(self) -> None:
        try:
            self._server.run([cast(socket.socket, self._socket)])
        except Exception:  # the thread's last resort: without this line nobody would hear of it
            logger.exception("the HTTP server ended by itself", extra={"server": self._name})
        finally:
            self._server.settled.set()


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it serves and takes its deadline when it ends."""

    def __init__(
        self,
        app: _Guarded,
        limits: ConnectionLimits,
        max_connections: int,
        contexts: Callable[[], ssl.SSLContext] | None,
    ) -> None:
        idle = IdleConnections(max_connections)
        protocol: Callable[..., asyncio.Protocol] = functools.partial(
            LimitedConnection, limits=limits, idle=idle
        )
        if contexts is not None:
            protocol = functools.partial(TlsHandshake, limits=limits, idle=idle, contexts=contexts)
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                # Called like the class: uvicorn never looks at anything but the result.
                http=cast(type[asyncio.Protocol], protocol),
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="critical",  # what matters of its lines is logged here instead
                access_log=False,
                proxy_headers=False,
                server_header=False,
                workers=1,
                backlog=_BACKLOG,
                # uvicorn says int, and hands it to the event loop, which takes any number.
                timeout_keep_alive=cast(int, limits.keep_alive),
            )
        )
        self.settled = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and tell the thread that waits for it."""
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        await super().startup(sockets)
        self.settled.set()

    async def main_loop(self) -> None:
        """Tick once a second, which keeps the Date header right, and not ten times."""
        assert self._end is not None, "startup comes first"
        while not await self.on_tick(0):
            try:
                await asyncio.wait_for(self._end.wait(), timeout=1.0)
            except TimeoutError:
                continue

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End gracefully, then cut the connections that are left.

        At the deadline uvicorn cancels the applications, which may still answer.
        """
        await super().shutdown(sockets)
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks.copy(), timeout=_LAST_ANSWERS_SECONDS)
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def end_within(self, timeout: float) -> None:
        """Ask the server, from another thread, to end within this many seconds."""
        # As with the keep-alive: any number will do.
        self.config.timeout_graceful_shutdown = cast(int, timeout)
        self.should_exit = True
        if self._loop is not None and self._end is not None:
            try:
                self._loop.call_soon_threadsafe(self._end.set)
            except RuntimeError:  # the loop has ended already
                logger.debug("the HTTP server had ended before it was stopped")


class _Guarded:
    """An application whose exceptions are logged in our way and answered with 500."""

    def __init__(self, app: App, name: str) -> None:
        self._app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            await self._app(scope, receive, send)
        except Exception:  # any fault of one request must not be the fault of the others
            logger.exception(
                "a request failed", extra={"server": self._name, "path": scope.get("path")}
            )
            raise


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket on the first address of this host, IPv4 before IPv6.

    It listens at once: Linux lets two sockets bind one port as long as neither listens.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
