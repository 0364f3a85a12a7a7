"""A delivery without a network: the test reads the queue and gives the answers."""

from __future__ import annotations

from exporters.otlp.house import House
from exporters.otlp.requests import names_in, request_of
from spanmill.exporters.otlp.account import Account
from spanmill.exporters.otlp.delivery import Delivery, Request
from spanmill.exporters.otlp.notices import Notices
from spanmill.exporters.otlp.sender import Delivered, Permanent, TooLarge
from spanmill.exporters.otlp.signals import TRACES, OtlpSignal
from spanmill.journal.log import CursorSettings, Signal
from spanmill.testing import ManualClock

KIB = 1024
MIB = 1024 * KIB


class Bench:
    """A delivery whose answers the test gives."""

    def __init__(
        self,
        max_request_bytes: int = MIB,
        max_backlog: int = 64 * MIB,
        signal: OtlpSignal = TRACES,
    ) -> None:
        clock = ManualClock()
        self.house = House("tempo", clock=clock)
        account = Account("tempo", signal, self.house.telemetry, self.house.registry.lock)
        self.cursor = self.house.journal.cursor(
            CursorSettings("tempo", Signal.TRACES, max_backlog), account.expired
        )
        self.house.registry.before_snapshot(lambda: account.show_queue(self.cursor))
        self.house.open()
        self.delivery = Delivery(
            self.cursor, account, Notices("tempo", TRACES, clock), max_request_bytes
        )
        self.in_flight: Request | None = None
        self.delivered: list[bytes] = []

    def accept(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.house.accept(payload, len(names_in(payload)))

    def take(self) -> None:
        """Read what there is, unless a request is in flight or waits."""
        if self.next_request() is None and (
            records := self.cursor.read(self.delivery.join_bytes, 0)
        ):
            self.delivery.take(records)
            self.next_request()

    def next_request(self) -> Request | None:
        """The one request that this bench keeps in flight."""
        if self.in_flight is None:
            self.in_flight = self.delivery.next_request()
        return self.in_flight

    def begin(self) -> Request:
        """One more request in flight, for which the test answers itself."""
        request = self.delivery.next_request()
        if request is None:
            self.delivery.take(self.cursor.read(self.delivery.join_bytes, 0))
            request = self.delivery.next_request()
        assert request is not None
        return request

    @property
    def pending(self) -> bytes:
        request = self.next_request()
        assert request is not None
        assert request.items == len(names_in(request.payload))
        return request.payload

    def answer(self, reply: Delivered | TooLarge | Permanent) -> None:
        if isinstance(reply, Delivered):
            self.delivered.append(self.pending)
        self.delivery.answered(self._ended(), reply)

    def halve(self) -> None:
        self.delivery.halve(self._ended())

    def give_up(self) -> None:
        self.delivery.give_up(self._ended())

    def deliver_all(self) -> None:
        while self.cursor.queued_bytes:
            if self.next_request() is None:
                self.take()
            else:
                self.answer(Delivered())

    def _ended(self) -> Request:
        request = self.next_request()
        assert request is not None
        self.in_flight = None
        return request

    @property
    def outcomes(self) -> dict[str, int]:
        return self.house.outcomes()


def sized(name: str, size: int) -> bytes:
    """A request of one span and about this size."""
    return request_of(name, padding=size - len(request_of(name)) - 5)
