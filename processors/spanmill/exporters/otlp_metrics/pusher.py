"""One destination of derived metrics: a thread that pushes a snapshot in each interval."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from spanmill.clock import Clock
from spanmill.exporters.otlp.backoff import Backoff
from spanmill.exporters.otlp.notices import Notices
from spanmill.exporters.otlp.outage import Outage
from spanmill.exporters.otlp.sender import Delivered, Permanent, Reply, Retry, Sender, TooLarge
from spanmill.exporters.otlp.settings import DestinationSettings
from spanmill.exporters.otlp_metrics.metric import HistogramForm
from spanmill.exporters.otlp_metrics.request_size import RequestSize
from spanmill.exporters.otlp_metrics.requests import encode
from spanmill.exporters.otlp_metrics.shown import ShownSeries
from spanmill.series.snapshot import FamilySnapshot
from spanmill.spans.split import Part
from spanmill.telemetry import Telemetry

_log = logging.getLogger(__name__)

DELIVERED: Final = "delivered"
REJECTED: Final = "rejected"
FAILED: Final = "failed"
PUSH_OUTCOMES: Final = (DELIVERED, REJECTED, FAILED)
"""All of it was taken; it was answered, but some of it was refused for good; not all of it was
answered before the next push was due."""

_ABORT_SECONDS: Final = 0.5
_MILLISECOND_NS: Final = 1_000_000
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class PushSettings:
    """What is pushed how often (`interval` in seconds), and who says so."""

    interval: float
    histograms: HistogramForm
    instance_id: Callable[[], str]


class MetricsPusher:
    """Pushes all that is derived, as cumulative values, every `interval` to one destination.

    A push that fails is tried again until the next one is due, whose snapshot takes its place:
    what is lost is resolution, never a count. Nothing waits for a destination but this thread;
    the registry is locked for a snapshot alone. Memory: one snapshot, one request, and what
    `ShownSeries` remembers.
    """

    def __init__(
        self,
        settings: DestinationSettings,
        push: PushSettings,
        *,
        snapshot: Callable[[], Sequence[FamilySnapshot]],
        sender: Sender,
        telemetry: Telemetry,
        clock: Clock,
        rng: Random,
    ) -> None:
        self.name: Final = settings.name
        self._timeout = settings.timeout
        self._signal = settings.signal
        self._push_settings = push
        self._snapshot = snapshot
        self._sender = sender
        self._telemetry = telemetry
        self._clock = clock
        self._rng = rng
        self._notices = Notices(settings.name, settings.signal, clock)
        self._outage = Outage(
            clock,
            whose={"destination": settings.name},
            lost="destination lost, derived metrics are not pushed",
            back="destination is back, derived metrics are pushed again",
            figure="failed_pushes",
            total=lambda: int(telemetry.pushes.value(settings.name, FAILED)),
        )
        self._backoff = Backoff(settings.retry, rng)
        self._size = RequestSize(settings.max_request_bytes)
        self._shown = ShownSeries(push.histograms)
        self._last_time_ns = 0
        self._asked_to_wait_until = -math.inf
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._deadline = math.inf
        self._last_outcome = FAILED
        self._fault_told = False
        for outcome in PUSH_OUTCOMES:
            telemetry.pushes.add(0, self.name, outcome)
        telemetry.export_retries.add(0, self.name, self._signal.name)
        self._thread = threading.Thread(target=self._run, name=f"push-{self.name}", daemon=True)

    def start(self) -> None:
        """Begin to push."""
        self._thread.start()

    def begin_stop(self, deadline: float) -> None:
        """Push a last time, until `deadline` (monotonic seconds)."""
        self._deadline = deadline
        self._stopping.set()

    def finish_stop(self) -> bool:
        """Wait for the last push until the deadline, then give up; whether all of it was taken."""
        if self._thread.is_alive():
            self._thread.join(max(0.0, self._deadline - self._clock.monotonic()))
        self._given_up.set()
        self._sender.close()
        if self._thread.is_alive():
            self._thread.join(_ABORT_SECONDS)
        return self._last_outcome == DELIVERED

    def _run(self) -> None:
        interval = self._push_settings.interval
        # Not all replicas at one moment.
        due = self._clock.monotonic() + self._rng.uniform(0, interval)
        while not self._stopping.wait(max(0.0, due - self._clock.monotonic())):
            due = self._next_due(due, interval)
            self._push(due)
        self._last_outcome = FAILED
        self._push(self._deadline, last=True)

    def _next_due(self, due: float, interval: float) -> float:
        """When the next push is due: those that are missed are left out."""
        now = self._clock.monotonic()
        return due + interval * max(1, math.ceil((now - due) / interval))

    def _push(self, until: float, *, last: bool = False) -> None:
        """Push a snapshot; give up where it didn't succeed at `until`."""
        if not last and self._asked_to_wait_until > self._clock.monotonic():
            return
        try:
            outcome = self._send_all(until, last=last)
        except Exception:  # noqa: BLE001 - a fault of ours must cost one push, not all
            if not self._fault_told:
                _log.exception("a push could not be made", extra={"destination": self.name})
            self._fault_told = True
            outcome = FAILED
        else:
            self._fault_told = False
        self._last_outcome = outcome
        self._telemetry.pushes.add(1, self.name, outcome)

    def _send_all(self, until: float, *, last: bool) -> str:
        time_ns = self._time_ns()
        families = self._snapshot()
        requests = encode(
            families,
            self._shown.gone(families),
            time_ns=time_ns,
            histograms=self._push_settings.histograms,
            instance_id=self._push_settings.instance_id(),
            max_bytes=self._size.bytes,
        )
        outcome = DELIVERED
        for request in requests:
            waiting = deque([request])
            while waiting:
                if self._stopping.is_set() and not last:
                    return FAILED
                part = waiting.popleft()
                reply = self._reply_to(part, until, last=last)
                match reply:
                    case Retry():
                        return FAILED
                    case Permanent(by_content=False):
                        self._rejected(part, reply.reason)
                        return REJECTED
                    case TooLarge() if parts := self._halves(part, reply):
                        waiting.extendleft(reversed(parts))
                    case TooLarge() | Permanent():
                        self._rejected(part, reply.reason)
                        outcome = REJECTED
                    case Delivered():
                        if not self._all_taken(part, reply):
                            outcome = REJECTED
        self._size.answered()
        self._shown.replace(families)
        return outcome

    def _reply_to(self, part: Part, until: float, *, last: bool) -> Reply:
        """The answer to a request, after as many attempts as there is time for."""
        attempts = 0
        while True:
            if attempts:
                self._telemetry.export_retries.add(1, self.name, self._signal.name)
            attempts += 1
            reply = self._attempt(part.payload, last=last)
            if not isinstance(reply, Retry):
                self._backoff.reset()
                self._outage.answered()
                return reply
            if self._given_up.is_set():
                return reply
            self._outage.failed(reply.reason)
            if reply.unanswered:
                self._size.unanswered(len(part.payload))
            wait = self._backoff.next_wait(reply.after)
            if reply.after:
                self._asked_to_wait_until = self._clock.monotonic() + wait
            if self._clock.monotonic() + wait >= until:
                return reply
            # The last push needs none to end its pauses but the deadline; another one has to
            # make room for the last.
            if (self._given_up if last else self._stopping).wait(wait):
                return reply

    def _attempt(self, payload: bytes, *, last: bool) -> Reply:
        begun = self._clock.monotonic()
        timeout = max(0.001, min(self._timeout, self._deadline - begun)) if last else self._timeout
        try:
            reply = self._sender.send(payload, timeout)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next push may succeed
            if not self._given_up.is_set():
                self._notices.warn("the sender failed", error=f"{type(error).__name__}: {error}")
            reply = Retry(f"the sender failed: {type(error).__name__}", unanswered=True)
        took = max(0, round((self._clock.monotonic() - begun) * 1e9))
        self._telemetry.export_duration.observe_one(took, self.name, self._signal.name)
        return reply

    def _halves(self, part: Part, reply: TooLarge) -> list[Part]:
        """The request in smaller ones; empty where it can't be split."""
        size = len(part.payload)
        self._size.refused(size)
        self._notices.warn(
            "destination takes smaller requests only; set its max_request_bytes",
            refused_bytes=size,
            reason=reply.reason,
        )
        if part.items <= 1:
            return []
        parts = self._signal.split(part.payload, size // 2)
        return parts if len(parts) > 1 else []

    def _rejected(self, part: Part, reason: str) -> None:
        self._notices.warn("destination rejected a push", points=part.items, reason=reason)

    def _all_taken(self, part: Part, reply: Delivered) -> bool:
        if reply.rejected:
            self._notices.warn(
                "destination rejected some of a push",
                points=min(reply.rejected, part.items),
                reason=reply.message,
            )
        elif reply.message:
            self._notices.warn("destination warns", warning=reply.message)
        elif reply.unreadable:
            self._notices.warn_once(
                "destination answers a success that is no OTLP; counted as delivered"
            )
        return not reply.rejected

    def _time_ns(self) -> int:
        """The time of a snapshot: at least a millisecond after the one before.

        Prometheus keeps milliseconds, and refuses two values for one of them. A clock that was
        set back by more than a second is followed nevertheless.
        """
        now = self._clock.time_ns()
        if self._last_time_ns - now < _SECOND_NS:
            now = max(now, self._last_time_ns + _MILLISECOND_NS)
        self._last_time_ns = now
        return now
