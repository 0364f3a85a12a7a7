"""One destination: threads that send what its cursor reads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from spanmill.clock import Clock
from spanmill.errors import SpanmillError
from spanmill.exporters.otlp.account import DELIVERED, Account
from spanmill.exporters.otlp.backoff import Backoff
from spanmill.exporters.otlp.delivery import Delivery, Request
from spanmill.exporters.otlp.letters import Letters
from spanmill.exporters.otlp.notices import Notices
from spanmill.exporters.otlp.outbox import Outbox
from spanmill.exporters.otlp.send_window import SendWindow
from spanmill.exporters.otlp.sender import Reply, Retry, Sender
from spanmill.exporters.otlp.settings import DestinationSettings
from spanmill.exporters.otlp.signals import OtlpSignal
from spanmill.journal.log import Cursor

_log = logging.getLogger(__name__)

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
    """Delivers every record of its cursor, with as many attempts as it takes.

    Up to `max_in_flight` requests are under way at once, each in a thread with a sender of its
    own. One thread more than are sending waits for the next request, until there are all.
    With one in flight requests go in the order of the records, with several they may pass each
    other. How long a record waits is up to the queue behind the cursor: what is too much for it
    expires, oldest first. What is under way takes `MAX_BYTES_IN_FLIGHT` besides, or one request.
    """

    def __init__(
        self,
        settings: DestinationSettings,
        *,
        cursor: Cursor,
        make_sender: Callable[[], Sender],
        account: Account,
        clock: Clock,
        rng: Random,
        letters: Letters | None = None,
        on_disk: bool = False,
    ) -> None:
        """`letters` keeps what is given up, if that is to be kept; `on_disk`: the cursor's journal
        outlives the process.
        """
        self.name: Final = settings.name
        self._timeout = settings.timeout
        self._max_threads = settings.max_in_flight
        self._cursor = cursor
        self._make_sender = make_sender
        self._account = account
        self._clock = clock
        self._signal = settings.signal
        notices = Notices(settings.name, settings.signal, clock)
        self._outbox = Outbox(
            cursor=cursor,
            account=account,
            delivery=Delivery(
                cursor,
                account,
                notices,
                settings.max_request_bytes,
                letters,
                # What is in hand is the oldest, but expires last: it has half of the room at most.
                max_joined_bytes=max(1, settings.max_backlog // (2 * settings.max_in_flight)),
            ),
            window=SendWindow(settings.max_in_flight),
            backoff=Backoff(settings.retry, rng),
            notices=notices,
            clock=clock,
            on_disk=on_disk,
        )
        self._sender_fault_told = False
        self._deadline = 0.0
        self._delivered_before_stop = 0
        self._growing = threading.Lock()  # guards the following two
        self._senders = [make_sender()]
        self._threads = [self._thread(self._senders[0])]

    def recover(self) -> None:
        """Go on with the books of the process before; after the replay, before `start`."""
        self._account.recover(self._cursor, self._clock.time_ns())
        self._outbox.recovered()

    def start(self) -> None:
        """Begin to send."""
        self._threads[0].start()

    def begin_stop(self, deadline: float) -> None:
        """Flush what is queued until `deadline` (monotonic seconds); the journal is closed."""
        self._delivered_before_stop = self._account.total(DELIVERED)
        self._deadline = deadline if self._outbox.flush(deadline) else self._clock.monotonic()

    def finish_stop(self) -> Flushed:
        """Wait until all is flushed or the deadline is reached, then give up and let go."""
        while self._is_alive() and self._clock.monotonic() < self._deadline:
            if not self._cursor.queued_bytes:
                self._cursor.close()
            self._join(_POLL_SECONDS)
        self._outbox.give_up()
        with self._growing:
            for sender in self._senders:
                sender.close()
        self._join(_ABORT_SECONDS)
        items = self._account.total(DELIVERED) - self._delivered_before_stop
        return Flushed(self.name, self._signal, items, self._cursor.queued_items)

    def stop(self, deadline: float) -> Flushed:
        """Flush and end; with several destinations begin to stop all before finishing one."""
        self.begin_stop(deadline)
        return self.finish_stop()

    def _thread(self, sender: Sender) -> threading.Thread:
        return threading.Thread(
            target=self._run,
            args=(sender,),
            name=f"destination-{self._signal.name}-{self.name}",
            daemon=True,
        )

    def _is_alive(self) -> bool:
        return any(thread.is_alive() for thread in tuple(self._threads))

    def _join(self, seconds: float) -> None:
        """Wait for all threads, so many seconds altogether."""
        deadline = self._clock.monotonic() + seconds
        for thread in tuple(self._threads):
            if thread.is_alive():
                thread.join(max(0.0, deadline - self._clock.monotonic()))

    def _run(self, sender: Sender) -> None:
        while not self._outbox.given_up:
            try:
                request = self._outbox.next_request()
                if request is None:
                    return
                self._send(request, sender)
            except Exception:  # noqa: BLE001 - a fault of ours must cost one request, not all
                _log.exception(
                    f"a request could not be handled, its {self._signal.items} are given up",
                    extra={"destination": self.name, "signal": self._signal.name},
                )

    def _send(self, request: Request, sender: Sender) -> None:
        if len(self._threads) < self._max_threads and not self._outbox.is_watched:
            self._add_thread()
        begun = self._clock.monotonic()
        reply = self._reply_to(request.payload, sender)
        self._outbox.ended(request, reply, self._clock.monotonic() - begun)

    def _reply_to(self, payload: bytes, sender: Sender) -> Reply:
        """The answer to a request; a fault of the sender is no reason to lose spans."""
        try:
            reply = sender.send(payload, self._outbox.time_for_request(self._timeout))
        except Exception as error:  # noqa: BLE001 - what it may be is what we don't know
            # Once until there is an answer again; and not if we closed it ourselves meanwhile.
            if not (self._sender_fault_told or self._outbox.given_up):
                self._sender_fault_told = True
                _log.exception(
                    "the sender failed, its request will be sent again",
                    extra={"destination": self.name, "signal": self._signal.name},
                )
            # The content or its size may be what it fails on.
            return Retry(f"the sender failed: {type(error).__name__}", unanswered=True)
        if not isinstance(reply, Retry):
            self._sender_fault_told = False
        return reply

    def _add_thread(self) -> None:
        """One more request may be under way; without a sender for it things go on as they are."""
        with self._growing:
            if self._outbox.given_up or len(self._threads) >= self._max_threads:
                return
            try:
                sender = self._make_sender()
            except SpanmillError as error:
                self._max_threads = len(self._threads)
                _log.warning(
                    "no more requests can be in flight",
                    extra={
                        "destination": self.name,
                        "signal": self._signal.name,
                        "in_flight": self._max_threads,
                        "reason": str(error),
                    },
                )
                return
            self._senders.append(sender)
            thread = self._thread(sender)
            thread.start()
            self._threads.append(thread)
