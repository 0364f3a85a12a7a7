"""Joining, splitting and settling in whatever order things happen."""

from __future__ import annotations

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exporters.otlp.delivery_bench import KIB, Bench
from exporters.otlp.requests import names_in, request_of
from spanmill.exporters.otlp.delivery import Request
from spanmill.exporters.otlp.sender import Delivered, Permanent, TooLarge

ANY = st.integers(0, 100)


class AnyHistory(RuleBasedStateMachine):
    """Whatever is accepted and answered, in any order, the books balance after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(max_request_bytes=128 * KIB, max_backlog=400 * KIB)
        self.delivery = self.bench.delivery
        self.in_flight: list[Request] = []
        self.delivered: list[str] = []
        self.named = 0

    @rule(
        spans=st.integers(0, 5),
        padding=st.sampled_from([0, 500, 20 * KIB, 45 * KIB, 90 * KIB, 140 * KIB]),
    )
    def accept(self, spans: int, padding: int) -> None:
        names = [f"{self.named + n:06d}" for n in range(spans)]
        self.named += spans
        self.bench.accept(request_of(*names, padding=padding))

    @rule()
    def take(self) -> None:
        if records := self.bench.cursor.read(self.delivery.join_bytes, 0):
            self.delivery.take(records)

    @rule()
    def begin(self) -> None:
        if request := self.delivery.next_request():
            self.in_flight.append(request)

    @precondition(lambda self: self.in_flight)
    @rule(which=ANY, rejected=st.integers(0, 3), unreadable=st.booleans())
    def succeed(self, which: int, rejected: int, unreadable: bool) -> None:
        request = self.end(which)
        self.delivered += names_in(request.payload)
        self.delivery.answered(request, Delivered(rejected, "", unreadable))

    @precondition(lambda self: self.in_flight)
    @rule(which=ANY, by_content=st.booleans())
    def reject(self, which: int, by_content: bool) -> None:
        self.delivery.answered(self.end(which), Permanent("no", by_content))

    @precondition(lambda self: self.in_flight)
    @rule(which=ANY)
    def refuse_size(self, which: int) -> None:
        self.delivery.answered(self.end(which), TooLarge("answered 413"))

    @precondition(lambda self: self.in_flight)
    @rule(which=ANY)
    def fail(self, which: int) -> None:
        self.delivery.again(self.end(which))

    @precondition(lambda self: self.in_flight)
    @rule(which=ANY)
    def stay_silent(self, which: int) -> None:
        self.delivery.halve(self.end(which))

    @precondition(lambda self: self.in_flight)
    @rule(which=ANY)
    def overflow(self, which: int) -> None:
        self.delivery.give_up(self.end(which))

    @rule()
    def fault(self) -> None:
        self.delivery.abandon()

    @invariant()
    def books_balance(self) -> None:
        assert sum(self.bench.outcomes.values()) == self.named

    @invariant()
    def requests_fit(self) -> None:
        assert all(len(request.payload) <= 128 * KIB for request in self.in_flight)

    @invariant()
    def nothing_is_delivered_twice(self) -> None:
        assert len(self.delivered) == len(set(self.delivered))

    def teardown(self) -> None:
        while self.bench.cursor.queued_bytes:
            self.take()
            self.begin()
            while self.in_flight:
                self.succeed(0, 0, False)
        assert "queued" not in self.bench.outcomes
        self.bench.house.close()

    def end(self, which: int) -> Request:
        return self.in_flight.pop(which % len(self.in_flight))


AnyHistory.TestCase.settings = hypothesis_settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
TestAnyHistory = AnyHistory.TestCase
