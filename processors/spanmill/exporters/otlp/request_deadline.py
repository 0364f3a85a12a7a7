"""A time limit for a whole request, whatever its peer does meanwhile."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
from collections.abc import Iterator

from spanmill.clock import Clock


class RequestDeadline:
    """Shuts a connection down when the request on it has taken too long.

    A socket's own timeout begins anew with every byte that arrives, so a peer that sends one
    a second is never late for it. One thread watches over the requests of one sender, of which
    one is under way at a time; it begins with the first of them.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._changed = threading.Condition()
        self._connection: socket.socket | None = None
        self._connection_ended = False
        self._ends = math.inf
        self._wakes = -math.inf
        self._passed = False
        self._closed = False

    @property
    def passed(self) -> bool:
        """Whether the latest request was cut off."""
        return self._passed

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Limit what happens inside to so many seconds."""
        with self._changed:
            self._passed = False
            self._ends = self._clock.monotonic() + seconds
            if self._wakes == -math.inf:
                threading.Thread(
                    target=self._watch, name=f"deadline-{self._name}", daemon=True
                ).start()
                self._wakes = math.inf
            if self._ends < self._wakes:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._ends = math.inf
                if self._connection_ended:
                    self._release()

    def remaining(self) -> float:
        """Seconds that are left for the request under way, at least a small number."""
        return max(self._ends - self._clock.monotonic(), 0.001)

    def guard(self, connection: socket.socket) -> None:
        """Watch over this connection from now on, instead of the one before."""
        with self._changed:
            self._release()
            self._connection_ended = False
            # A descriptor of our own: theirs may be closed, and its number taken, at any moment.
            self._connection = socket.socket(fileno=os.dup(connection.fileno()))
            if self._passed or self._closed:
                self._shut_down()

    def ended(self) -> None:
        """The connection was closed: let go of it, but not before the request is over.

        The rest of an answer may still be read from a connection that was closed for any other
        use.
        """
        with self._changed:
            self._connection_ended = True
            if self._ends == math.inf:
                self._release()

    def close(self) -> None:
        """Cut off the request under way, and every later one."""
        with self._changed:
            self._closed = True
            self._shut_down()
            self._release()
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                left = self._ends - self._clock.monotonic()
                if left <= 0:
                    self._passed = True
                    self._ends = math.inf
                    self._shut_down()
                    continue
                self._wakes = self._ends
                self._changed.wait(left if left < math.inf else None)

    def _shut_down(self) -> None:
        if self._connection is not None:
            # The peer may have ended the connection first.
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
