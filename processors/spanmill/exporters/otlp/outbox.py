"""What one destination is sent next, and what its answers mean, for several threads."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from typing import Final

from spanmill.clock import Clock
from spanmill.exporters.otlp.account import EXPIRED, Account
from spanmill.exporters.otlp.backoff import Backoff
from spanmill.exporters.otlp.delivery import Delivery, Request
from spanmill.exporters.otlp.notices import Notices
from spanmill.exporters.otlp.outage import Outage
from spanmill.exporters.otlp.send_window import SendWindow
from spanmill.exporters.otlp.sender import Reply, Retry
from spanmill.journal.log import Cursor, ReadRecord

_IDLE_SECONDS: Final = 60.0
_FAULT_PAUSE_SECONDS: Final = 1.0
_LINGER_SECONDS: Final = 0.02
"""How long a request that isn't full waits for company: by itself it costs as much as 500 spans."""


class Outbox:
    """Hands out requests and takes their answers, each from whichever thread has it.

    While the destination fails, one request at a time goes out, the oldest, after a pause that
    grows; with the first answer all may go again.
    """

    def __init__(
        self,
        *,
        cursor: Cursor,
        account: Account,
        delivery: Delivery,
        window: SendWindow,
        backoff: Backoff,
        notices: Notices,
        clock: Clock,
        on_disk: bool = False,
    ) -> None:
        """`on_disk`: what is left at the end is there at the next start."""
        self._cursor = cursor
        self._account = account
        self._delivery = delivery
        self._window = window
        self._backoff = backoff
        self._notices = notices
        self._clock = clock
        self._on_disk = on_disk
        self._items = account.signal.items
        self._outage = Outage(
            clock,
            whose={"destination": account.name, "signal": account.signal.name},
            lost=f"destination lost, its {self._items} are queued",
            back="destination is back",
            figure=f"expired_{self._items}",
            total=lambda: account.total(EXPIRED),
        )
        self._expired_told = 0
        self._turn = threading.Lock()  # whoever looks for the next request has it
        self._changed = threading.Condition()  # guards everything but the cursor
        self._watchers = 0
        self._deadline = math.inf
        self._given_up = False

    @property
    def given_up(self) -> bool:
        """Whether nothing is sent any more."""
        return self._given_up

    @property
    def is_watched(self) -> bool:
        """Whether a thread waits for the next request."""
        return self._watchers > 0

    def recovered(self) -> None:
        """What had expired before this process is no news."""
        self._expired_told = self._account.total(EXPIRED)

    def next_request(self) -> Request | None:
        """The next request, begun, as soon as there is one; None once there will be none."""
        with self._changed:
            self._watchers += 1
        try:
            with self._turn:
                return self._look()
        finally:
            with self._changed:
                self._watchers -= 1

    def ended(self, request: Request, reply: Reply, seconds: float) -> None:
        """What became of a request, and after how many seconds."""
        with self._changed:
            self._window.ended(len(request.payload))
            with self._fault_is_paid():
                if isinstance(reply, Retry):
                    self._failed(request, reply)
                else:
                    self._window.answered()
                    self._backoff.reset()
                    self._tell_what_expired()
                    self._outage.answered()
                    self._delivery.answered(request, reply)
            self._account.took(seconds)
            self._changed.notify_all()
            waits = self._delivery.waits
        if waits:
            self._cursor.wake()  # somebody may wait there for new records

    def flush(self, deadline: float) -> bool:
        """Nothing new comes any more: send what is there, until `deadline` (monotonic seconds).

        What is on disk isn't waited for: a destination that fails gets it after the next start.
        Where it failed before already, nothing is sent any more, and this is False.
        """
        if self._on_disk and self._outage.lasts:
            self.give_up()
            return False
        with self._changed:
            self._deadline = deadline
            # The last chance: the first attempt now, the next ones in quick succession.
            self._backoff.reset()
            self._window.hurry()
            self._changed.notify_all()
        self._cursor.wake()
        return True

    def give_up(self) -> None:
        """Hand out nothing any more; what is left stays queued."""
        with self._changed:
            self._given_up = True
            self._changed.notify_all()
        self._cursor.close()

    def time_for_request(self, timeout: float) -> float:
        """Seconds that an attempt may take from now on."""
        return max(0.001, min(timeout, self._deadline - self._clock.monotonic()))

    def _look(self) -> Request | None:
        while True:
            with self._changed:
                if not self._wait_until_open():
                    return None
                with self._fault_is_paid():
                    request = self._delivery.next_request()
                if request is not None:
                    self._begin(request)
                    return request
                join_bytes = self._delivery.join_bytes
                stopping = self._deadline < math.inf
            idle, linger = (0.0, 0.0) if stopping else (_IDLE_SECONDS, _LINGER_SECONDS)
            records = self._cursor.read(join_bytes, idle, linger)
            if not self._take(records) and stopping:
                return None

    def _wait_until_open(self) -> bool:
        while not self._given_up:
            now = self._clock.monotonic()
            opens_in = self._window.opens_in(now)
            if opens_in <= 0:
                return True
            if opens_in < math.inf and now + opens_in >= self._deadline:
                self._given_up = True
                break
            self._changed.wait(opens_in if opens_in < math.inf else None)
        return False

    def _begin(self, request: Request) -> None:
        self._window.began(len(request.payload))
        request.failures_before = self._window.failures
        if request.expired_before is None:
            request.expired_before = self._account.total(EXPIRED)
        else:
            self._account.sent_again()

    def _take(self, records: list[ReadRecord]) -> bool:
        """Whether there is, or may still be, something to send."""
        with self._changed:
            if records:
                self._delivery.take(records)
            if self._delivery.waits:
                return True
            if self._window.requests and self._deadline < math.inf:
                self._changed.wait()  # what is under way elsewhere may come back
                return True
            return False

    @contextlib.contextmanager
    def _fault_is_paid(self) -> Iterator[None]:
        """What can't be handled is given up, followed by a pause; the exception goes on."""
        try:
            yield
        except Exception:
            self._delivery.abandon()
            self._window.pause(self._clock.monotonic() + _FAULT_PAUSE_SECONDS)
            self._changed.notify_all()
            raise

    def _failed(self, request: Request, reply: Retry) -> None:
        assert request.expired_before is not None, "it was begun"
        self._outage.failed(reply.reason)
        if self._on_disk and self._deadline < math.inf:
            self._given_up = True
        if self._account.total(EXPIRED) > request.expired_before:
            self._delivery.give_up(request)
        elif reply.unanswered:
            self._delivery.halve(request)
        else:
            self._delivery.again(request)
        # Requests that were under way together fail together: that is one failure.
        if request.failures_before == self._window.failures or reply.after is not None:
            wait = self._backoff.next_wait(reply.after)
            self._window.failed(self._clock.monotonic() + wait)

    def _tell_what_expired(self) -> None:
        if self._on_disk:
            return  # the cursor says it, and why
        expired = self._account.total(EXPIRED)
        if expired > self._expired_told and not self._outage.lasts:
            self._notices.warn(
                f"destination is too slow, its oldest {self._items} expire",
                **{f"expired_{self._items}_total": expired},
            )
        self._expired_told = expired
