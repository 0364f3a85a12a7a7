"""Recorded requests on their way to one destination, sent again as OTLP asks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from spanmill.clock import Clock
from spanmill.errors import StartError
from spanmill.exporters.otlp.backoff import Backoff
from spanmill.exporters.otlp.sender import (
    Delivered,
    Permanent,
    Retry,
    Sender,
    TooLarge,
)
from spanmill.exporters.otlp.settings import RetrySettings
from spanmill.exporters.otlp.signals import TRACES, OtlpSignal
from spanmill.spans.split import Part

REQUEST_TIMEOUT: Final = 30.0
"""Seconds for one request and its answer."""

UNKNOWN_PATIENCE: Final = 5.0
"""Seconds of trying a destination that never answered: it may be about to start."""

KNOWN_PATIENCE: Final = 300.0
"""Seconds of trying one request at a destination that is there, as the Collector does."""

RETRY: Final = RetrySettings(initial_interval=0.2, max_interval=5.0, multiplier=2.0)


@dataclass(slots=True)
class Sent:
    """What the destination answered for so far; `spans` counts the rejected ones too."""

    spans: int = 0
    requests: int = 0
    rejected: int = 0
    reason: str = ""
    """Why spans were rejected, in the destination's words, the last time."""


class Transmission:
    """Sends requests one after the other, each until it is answered for."""

    def __init__(
        self,
        sender: Sender,
        target: str,
        sent: Sent,
        *,
        clock: Clock,
        sleep: Callable[[float], None],
        rng: Random,
        waiting: Callable[[str], None],
        signal: OtlpSignal = TRACES,
    ) -> None:
        self._sent = sent
        self._sender = sender
        self._target = target
        self._clock = clock
        self._sleep = sleep
        self._waiting = waiting
        self._signal = signal
        self._backoff = Backoff(RETRY, rng)
        self._reached = False

    def send(self, payload: bytes, spans: int) -> None:
        """Send one request; StartError where the destination is wrong or stays silent.

        A request that is too large for the destination goes in halves. Spans that it won't have
        are counted as rejected.
        """
        parts = deque([Part(payload, spans, oversize=False)])
        while parts:
            part = parts.popleft()
            parts.extendleft(reversed(self._send_part(part)))

    def _send_part(self, part: Part) -> list[Part]:
        """Send until there is an answer; what must be sent in its place."""
        began = self._clock.monotonic()
        while True:
            reply = self._sender.send(part.payload, REQUEST_TIMEOUT)
            if not isinstance(reply, Retry):
                break
            self._pause(reply, self._clock.monotonic() - began)
        self._reached = True
        self._backoff.reset()
        match reply:
            case Delivered():
                self._answered(part, min(reply.rejected, part.items), reply.message)
            case TooLarge():
                halves = self._signal.split(part.payload, len(part.payload) // 2)
                if part.items > 1 and len(halves) > 1:
                    return halves
                self._answered(part, part.items, reply.reason)
            case Permanent():
                if not reply.by_content:
                    raise StartError(
                        f"{self._target} takes no {self._signal.items}: {reply.reason}"
                    )
                self._answered(part, part.items, reply.reason)
        return []

    def _answered(self, part: Part, rejected: int, reason: str) -> None:
        self._sent.spans += part.items
        self._sent.requests += 1
        if rejected:
            self._sent.rejected += rejected
            self._sent.reason = reason

    def _pause(self, reply: Retry, elapsed: float) -> None:
        # Who names a time to come back is there.
        self._reached = self._reached or reply.after is not None
        if elapsed > (KNOWN_PATIENCE if self._reached else UNKNOWN_PATIENCE):
            if self._reached:
                raise StartError(
                    f"{self._target} has taken nothing for {elapsed:.0f} s: {reply.reason}"
                )
            raise StartError(f"can't reach {self._target}: {reply.reason}")
        self._waiting(reply.reason)
        self._sleep(self._backoff.next_wait(reply.after))
