"""A time limit for the body of a gRPC call, for which grpcio has none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import grpc

from spanmill.clock import Clock

BODY_SECONDS: Final = 60.0
"""How long a request's body may take on its way, on either transport."""

SLOW_SECONDS: Final = 5.0
"""How long it may take while other requests wait for room."""

_CHECK_SECONDS: Final = 1.0


class BodyDeadline:
    """Cancels calls whose message is not whole in time.

    Each one holds a handler's thread: as many as there are threads would stop all reception.
    """

    def __init__(
        self,
        clock: Clock,
        seconds: float = BODY_SECONDS,
        others_wait: Callable[[], bool] | None = None,
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._others_wait = others_wait
        self._begun: dict[grpc.ServicerContext, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="grpc-body-deadline", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._ended.set()

    def begin(self, call: grpc.ServicerContext) -> None:
        """This call waits for its message from now on."""
        self._begun[call] = self._clock.monotonic()

    def end(self, call: grpc.ServicerContext) -> None:
        """The message of this call is whole, or will never be."""
        self._begun.pop(call, None)

    def cancel_late(self) -> None:
        """Cancel every call that waits for too long, or for a while where others wait for it."""
        seconds = self._seconds
        if self._others_wait is not None and self._others_wait():
            seconds = min(seconds, SLOW_SECONDS)
        latest = self._clock.monotonic() - seconds
        for call, begun in list(self._begun.items()):  # in the order in which they began
            if begun > latest:
                return
            self.end(call)
            call.cancel()  # type: ignore[no-untyped-call]  # grpc's stubs leave it out

    def _watch(self) -> None:
        while not self._ended.wait(_CHECK_SECONDS):
            self.cancel_late()
