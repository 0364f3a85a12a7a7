"""Joining, splitting and settling in whatever order things happen."""

from __future__ import annotations

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exporters.otlp.delivery_bench import KIB, Bench
from exporters.otlp.requests import names_in, request_of
from spanmill.exporters.otlp.sender import Delivered, Permanent, TooLarge


class AnyHistory(RuleBasedStateMachine):
    """Whatever is accepted and answered, in any order, the books balance after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(max_request_bytes=128 * KIB, max_queue_bytes=400 * KIB)
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
        self.bench.take()

    @precondition(lambda self: self.bench.delivery.next_request() is not None)
    @rule(rejected=st.integers(0, 3), unreadable=st.booleans())
    def succeed(self, rejected: int, unreadable: bool) -> None:
        self.bench.answer(Delivered(rejected, "", unreadable))

    @precondition(lambda self: self.bench.delivery.next_request() is not None)
    @rule(by_content=st.booleans())
    def reject(self, by_content: bool) -> None:
        self.bench.answer(Permanent("no", by_content))

    @precondition(lambda self: self.bench.delivery.next_request() is not None)
    @rule()
    def refuse_size(self) -> None:
        self.bench.answer(TooLarge("answered 413"))

    @precondition(lambda self: self.bench.delivery.next_request() is not None)
    @rule()
    def stay_silent(self) -> None:
        self.bench.delivery.halve()

    @precondition(lambda self: self.bench.delivery.next_request() is not None)
    @rule()
    def overflow(self) -> None:
        self.bench.delivery.give_up_oldest()

    @rule()
    def fault(self) -> None:
        self.bench.delivery.abandon()

    @invariant()
    def books_balance(self) -> None:
        assert sum(self.bench.outcomes.values()) == self.named

    @invariant()
    def requests_fit(self) -> None:
        request = self.bench.delivery.next_request()
        assert request is None or len(request.payload) <= 128 * KIB

    @invariant()
    def nothing_is_delivered_twice_or_out_of_order(self) -> None:
        names = [name for request in self.bench.delivered for name in names_in(request)]
        assert names == sorted(set(names))

    def teardown(self) -> None:
        self.bench.deliver_all()
        assert "queued" not in self.bench.outcomes
        assert self.bench.cursor.queued_bytes == 0
        self.bench.house.close()


AnyHistory.TestCase.settings = hypothesis_settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
TestAnyHistory = AnyHistory.TestCase
