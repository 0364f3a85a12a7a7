"""A delivery without a network: the test reads the queue and gives the answers."""

from __future__ import annotations

from exporters.otlp.house import House
from exporters.otlp.requests import names_in, request_of
from spanmill.exporters.otlp.account import Account
from spanmill.exporters.otlp.delivery import Delivery
from spanmill.exporters.otlp.notices import Notices
from spanmill.exporters.otlp.sender import Delivered, Permanent, TooLarge
from spanmill.exporters.otlp.signals import TRACES
from spanmill.journal.log import Signal
from spanmill.testing import ManualClock

KIB = 1024
MIB = 1024 * KIB


class Bench:
    """A delivery whose answers the test gives."""

    def __init__(self, max_request_bytes: int = MIB, max_queue_bytes: int = 64 * MIB) -> None:
        clock = ManualClock()
        self.house = House("tempo", clock=clock)
        account = Account("tempo", TRACES, self.house.telemetry, self.house.registry.lock)
        self.cursor = self.house.journal.cursor(
            "tempo", Signal.TRACES, max_queue_bytes, account.expired
        )
        self.house.registry.before_snapshot(lambda: account.show_queue(self.cursor))
        self.house.open()
        self.delivery = Delivery(
            self.cursor, account, Notices("tempo", TRACES, clock), max_request_bytes
        )
        self.delivered: list[bytes] = []

    def accept(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.house.accept(payload, len(names_in(payload)))

    def take(self) -> None:
        if records := self.cursor.read(self.delivery.join_bytes, 0):
            self.delivery.take(records)
        self.delivery.next_request()

    @property
    def pending(self) -> bytes:
        request = self.delivery.next_request()
        assert request is not None
        assert request.items == len(names_in(request.payload))
        return request.payload

    def answer(self, reply: Delivered | TooLarge | Permanent) -> None:
        if isinstance(reply, Delivered):
            self.delivered.append(self.pending)
        self.delivery.answered(reply)

    def deliver_all(self) -> None:
        while self.cursor.queued_bytes:
            if self.delivery.next_request() is None:
                self.take()
            else:
                self.answer(Delivered())

    @property
    def outcomes(self) -> dict[str, int]:
        return self.house.outcomes()


def sized(name: str, size: int) -> bytes:
    """A request of one span and about this size."""
    return request_of(name, padding=size - len(request_of(name)) - 5)
