"""A body that never ends must not hold up the others."""

from __future__ import annotations

import pytest

import spanmill.receivers.http
from receivers.otlp_requests import good_body
from receivers.raw_http import RawHttp, post_head
from receivers.raw_http2 import RawConnection, framed
from receivers.receiver_pipeline import PipelineFactory
from spanmill.receivers.body_deadline import BodyDeadline
from spanmill.testing import ManualClock
from waiting import Eventually

GOOD = good_body()


class Call:
    """A call that remembers whether it was cancelled."""

    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


def test_only_calls_that_wait_for_too_long_are_cancelled() -> None:
    clock = ManualClock()
    deadline = BodyDeadline(clock, seconds=60)
    late, answered, young = Call(), Call(), Call()
    deadline.begin(late)  # type: ignore[arg-type]  # it only cancels
    deadline.begin(answered)  # type: ignore[arg-type]
    clock.advance(50)
    deadline.begin(young)  # type: ignore[arg-type]
    deadline.end(answered)  # type: ignore[arg-type]
    clock.advance(11)
    deadline.cancel_late()
    assert (late.cancelled, answered.cancelled, young.cancelled) == (True, False, False)


def test_half_a_grpc_message_lets_go_of_its_handler_in_the_end(
    start_pipeline: PipelineFactory, eventually: Eventually
) -> None:
    pipeline = start_pipeline(handler_threads=1)
    deadline = pipeline.grpc._body_deadline
    with RawConnection(pipeline.grpc.port) as stalled:
        stalled.begin(framed(GOOD)[:20])
        eventually(lambda: deadline._begun, "the only handler waits for the rest")
        deadline._seconds = 0
        assert pipeline.client("grpc").send(GOOD).ok


def test_half_an_http_body_is_answered_with_408(
    start_pipeline: PipelineFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spanmill.receivers.http, "BODY_SECONDS", 0.05)
    pipeline = start_pipeline()
    with RawHttp(pipeline.http.port) as stalled:
        stalled.send(post_head("Content-Length: 100") + b"half")
        assert stalled.answer().code == 408
    assert pipeline.requests("http", "refused") == 1
