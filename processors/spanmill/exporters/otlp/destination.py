"""One destination: a thread that sends what its cursor reads."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from random import Random
from typing import Final

from spanmill.clock import Clock
from spanmill.exporters.otlp.account import DELIVERED, EXPIRED, Account
from spanmill.exporters.otlp.backoff import Backoff
from spanmill.exporters.otlp.delivery import Delivery
from spanmill.exporters.otlp.notices import Notices
from spanmill.exporters.otlp.outage import Outage
from spanmill.exporters.otlp.sender import Reply, Retry, Sender
from spanmill.exporters.otlp.settings import DestinationSettings
from spanmill.exporters.otlp.signals import OtlpSignal
from spanmill.journal.log import Cursor

_log = logging.getLogger(__name__)

_IDLE_SECONDS: Final = 60.0
_FAULT_PAUSE_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.02
_ABORT_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Flushed:
    """What a destination still got while it was stopped, and what it didn't, in spans or points."""

    name: str
    signal: OtlpSignal
    items: int
    left: int


class OtlpDestination:
    """Delivers every record of its cursor, in order, with as many attempts as it takes.

    How long is up to the queue behind the cursor: what is too much for it expires, oldest first.
    """

    def __init__(
        self,
        settings: DestinationSettings,
        *,
        cursor: Cursor,
        sender: Sender,
        account: Account,
        clock: Clock,
        rng: Random,
    ) -> None:
        self.name: Final = settings.name
        self._timeout = settings.timeout
        self._cursor = cursor
        self._sender = sender
        self._account = account
        self._clock = clock
        self._signal = settings.signal
        self._notices = Notices(settings.name, settings.signal, clock)
        self._delivery = Delivery(cursor, account, self._notices, settings.max_request_bytes)
        self._backoff = Backoff(settings.retry, rng)
        signal = account.signal
        self._outage = Outage(
            clock,
            whose={"destination": account.name, "signal": signal.name},
            lost=f"destination lost, its {signal.items} are queued",
            back="destination is back",
            figure=f"expired_{signal.items}",
            total=lambda: account.total(EXPIRED),
        )
        self._attempts = 0
        self._sender_fault_told = False
        self._expired_before = 0
        self._expired_told = 0
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._deadline = 0.0
        self._delivered_before_stop = 0
        self._thread = threading.Thread(
            target=self._run,
            name=f"destination-{settings.signal.name}-{settings.name}",
            daemon=True,
        )

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def begin_stop(self, deadline: float) -> None:
        """Flush what is queued until `deadline` (monotonic seconds); the journal is closed."""
        self._delivered_before_stop = self._account.total(DELIVERED)
        self._deadline = deadline
        self._stopping.set()

    def finish_stop(self) -> Flushed:
        """Wait until all is flushed or the deadline is reached, then give up and let go."""
        while self._thread.is_alive() and self._clock.monotonic() < self._deadline:
            if not self._cursor.queued_bytes:
                self._cursor.close()
            self._thread.join(_POLL_SECONDS)
        self._given_up.set()
        self._cursor.close()
        self._sender.close()
        if self._thread.is_alive():
            self._thread.join(_ABORT_SECONDS)
        items = self._account.total(DELIVERED) - self._delivered_before_stop
        return Flushed(self.name, self._signal, items, self._cursor.queued_items)

    def stop(self, deadline: float) -> Flushed:
        """Flush and end; with several destinations begin to stop all before finishing one."""
        self.begin_stop(deadline)
        return self.finish_stop()

    def _run(self) -> None:
        while not self._given_up.is_set():
            try:
                more = self._step()
            except Exception:  # noqa: BLE001 - a fault of ours must cost one request, not all
                _log.exception(
                    f"a request could not be handled, its {self._signal.items} are given up",
                    extra={"destination": self.name, "signal": self._signal.name},
                )
                self._delivery.abandon()
                self._attempts = 0
                self._given_up.wait(_FAULT_PAUSE_SECONDS)
            else:
                if not more:
                    return

    def _step(self) -> bool:
        """Send one request, or wait for one; False once nothing more will come."""
        if request := self._delivery.next_request():
            self._attempt(request.payload)
            return True
        stopping = self._stopping.is_set()
        idle = 0.0 if stopping else _IDLE_SECONDS
        if records := self._cursor.read(self._delivery.join_bytes, idle):
            self._delivery.take(records)
            return True
        return not stopping

    def _attempt(self, payload: bytes) -> None:
        if self._attempts:
            self._account.sent_again()
        else:
            self._expired_before = self._account.total(EXPIRED)
        self._attempts += 1
        begun = self._clock.monotonic()
        reply = self._reply_to(payload, self._time_for_request(begun))
        self._account.took(self._clock.monotonic() - begun)
        if isinstance(reply, Retry):
            if not self._given_up.is_set():
                self._failed(reply)
            return
        self._attempts = 0
        self._sender_fault_told = False
        self._backoff.reset()
        self._tell_what_expired()
        self._outage.answered()
        self._delivery.answered(reply)

    def _reply_to(self, payload: bytes, timeout: float) -> Reply:
        """The answer to a request; a fault of the sender is no reason to lose spans."""
        try:
            return self._sender.send(payload, timeout)
        except Exception as error:  # noqa: BLE001 - what it may be is what we don't know
            # Once until there is an answer again; and not if we closed it ourselves meanwhile.
            if not (self._sender_fault_told or self._given_up.is_set()):
                self._sender_fault_told = True
                _log.exception(
                    "the sender failed, its request will be sent again",
                    extra={"destination": self.name, "signal": self._signal.name},
                )
            # The content or its size may be what it fails on.
            return Retry(f"the sender failed: {type(error).__name__}", unanswered=True)

    def _failed(self, reply: Retry) -> None:
        self._outage.failed(reply.reason)
        if self._account.total(EXPIRED) > self._expired_before:
            self._delivery.give_up_oldest()
            self._attempts = 0
        elif reply.unanswered:
            self._delivery.halve()
        self._wait(self._backoff.next_wait(reply.after))

    def _tell_what_expired(self) -> None:
        expired = self._account.total(EXPIRED)
        if expired > self._expired_told and not self._outage.lasts:
            self._notices.warn(
                f"destination is too slow, its oldest {self._signal.items} expire",
                **{f"expired_{self._signal.items}_total": expired},
            )
        self._expired_told = expired

    def _wait(self, seconds: float) -> None:
        if self._stopping.is_set():
            if self._clock.monotonic() + seconds < self._deadline:
                self._given_up.wait(seconds)
            else:
                self._given_up.set()
        elif self._stopping.wait(seconds):
            # The last chance: the first attempt now, the next ones in quick succession.
            self._backoff.reset()

    def _time_for_request(self, now: float) -> float:
        if not self._stopping.is_set():
            return self._timeout
        return max(0.001, min(self._timeout, self._deadline - now))
