"""Requests are sent until they are answered for, as OTLP asks."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from cli.replay.recorded import recorded_span, request_of, spans_of
from spanmill.cli.replay.transmission import (
    KNOWN_PATIENCE,
    UNKNOWN_PATIENCE,
    Sent,
    Transmission,
)
from spanmill.errors import StartError
from spanmill.exporters.otlp.sender import Delivered, Permanent, Reply, Retry, TooLarge
from spanmill.testing import ManualClock


class ScriptedSender:
    """Gives these replies in turn, and the last for ever."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self._replies = list(replies)
        self.payloads: list[bytes] = []

    def send(self, payload: bytes, timeout: float) -> Reply:
        self.payloads.append(payload)
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    def close(self) -> None:
        """Nothing to let go of."""


class SmallSender(ScriptedSender):
    """Takes requests of at most so many bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__([Delivered()])
        self._limit = limit

    def send(self, payload: bytes, timeout: float) -> Reply:
        if len(payload) > self._limit:
            return TooLarge("too large")
        return super().send(payload, timeout)


class Sending:
    """A transmission on a clock that only its own waiting moves."""

    def __init__(self, sender: ScriptedSender) -> None:
        self.sent = Sent()
        self.clock = ManualClock()
        self.reasons: list[str] = []
        self.transmission = Transmission(
            sender,
            "x:4317 over grpc",
            self.sent,
            clock=self.clock,
            sleep=self.clock.advance,
            rng=Random(1),
            waiting=self.reasons.append,
        )


PAYLOAD = request_of([recorded_span(n) for n in range(1, 11)])


def test_a_request_that_is_taken_is_counted() -> None:
    sender = ScriptedSender([Delivered()])
    sending = Sending(sender)
    sending.transmission.send(PAYLOAD, 10)
    sending.transmission.send(PAYLOAD, 10)
    assert sender.payloads == [PAYLOAD, PAYLOAD]
    assert sending.sent == Sent(spans=20, requests=2)
    assert sending.clock.monotonic() == 0.0


def test_a_request_is_sent_again_until_it_is_taken() -> None:
    sender = ScriptedSender([Retry("busy"), Retry("busy", 0.0), Retry("still busy"), Delivered()])
    sending = Sending(sender)
    sending.transmission.send(PAYLOAD, 10)
    assert len(sender.payloads) == 4
    assert sending.sent == Sent(spans=10, requests=1)
    assert sending.reasons == ["busy", "busy", "still busy"]
    assert sending.clock.monotonic() > 0


def test_a_named_time_is_waited_for() -> None:
    sending = Sending(ScriptedSender([Retry("full", 42.0), Delivered()]))
    sending.transmission.send(PAYLOAD, 10)
    assert 42.0 <= sending.clock.monotonic() < 43.0


def test_a_destination_that_never_answers_is_given_up_soon() -> None:
    sending = Sending(ScriptedSender([Retry("connection refused")]))
    with pytest.raises(StartError, match="can't reach x:4317 over grpc: connection refused"):
        sending.transmission.send(PAYLOAD, 10)
    assert UNKNOWN_PATIENCE < sending.clock.monotonic() < 3 * UNKNOWN_PATIENCE
    assert sending.sent == Sent()


def test_a_destination_that_once_answered_is_waited_for_longer() -> None:
    sending = Sending(ScriptedSender([Delivered(), Retry("unavailable")]))
    sending.transmission.send(PAYLOAD, 10)
    with pytest.raises(StartError, match=r"x:4317 over grpc has taken nothing for 30\d s: unavail"):
        sending.transmission.send(PAYLOAD, 10)
    assert sending.clock.monotonic() > KNOWN_PATIENCE


def test_a_destination_that_names_a_time_is_waited_for_longer() -> None:
    sending = Sending(ScriptedSender([Retry("full", 1.0), Retry("unavailable")]))
    with pytest.raises(StartError, match="x:4317 over grpc has taken nothing"):
        sending.transmission.send(PAYLOAD, 10)
    assert sending.clock.monotonic() > KNOWN_PATIENCE


def test_partial_rejection_is_counted_with_its_reason() -> None:
    sending = Sending(ScriptedSender([Delivered(rejected=3, message="bad ids"), Delivered(99)]))
    sending.transmission.send(PAYLOAD, 10)
    assert sending.sent == Sent(spans=10, requests=1, rejected=3, reason="bad ids")
    sending.transmission.send(PAYLOAD, 10)
    assert sending.sent.rejected == 13  # never more than were sent


def test_a_request_that_is_refused_for_its_content_does_not_end_it() -> None:
    sending = Sending(ScriptedSender([Permanent("bad data"), Delivered()]))
    sending.transmission.send(PAYLOAD, 10)
    sending.transmission.send(PAYLOAD, 10)
    assert sending.sent == Sent(spans=20, requests=2, rejected=10, reason="bad data")


def test_a_wrong_path_ends_it() -> None:
    sending = Sending(ScriptedSender([Permanent("answered 404", by_content=False)]))
    with pytest.raises(StartError, match="x:4317 over grpc takes no spans: answered 404"):
        sending.transmission.send(PAYLOAD, 10)


def test_a_request_that_is_too_large_goes_in_smaller_ones() -> None:
    sender = SmallSender(limit=len(PAYLOAD) // 3)
    sending = Sending(sender)
    sending.transmission.send(PAYLOAD, 10)
    assert [s for p in sender.payloads for s in spans_of(p)] == spans_of(PAYLOAD)
    assert sending.sent == Sent(spans=10, requests=len(sender.payloads))


def test_a_span_that_is_too_large_by_itself_is_rejected() -> None:
    large = recorded_span(2)
    large.name = "x" * 10_000
    sender = SmallSender(limit=1000)
    sending = Sending(sender)
    payload = request_of([recorded_span(1), large, recorded_span(3)])
    sending.transmission.send(payload, 3)
    assert [s.name for p in sender.payloads for s in spans_of(p)] == ["span 1", "span 3"]
    assert (sending.sent.spans, sending.sent.rejected) == (3, 1)
    assert sending.sent.reason == "too large"
