"""A recording is sent as often and as fast as planned."""

from __future__ import annotations

import io
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from cli.replay.recorded import recorded_span, request_of, spans_of, write_recording
from cli.replay.test_transmission import ScriptedSender, Sending
from spanmill.cli.replay.progress import Progress
from spanmill.cli.replay.recording import Recording
from spanmill.cli.replay.session import Plan, replay
from spanmill.exporters.otlp.sender import Delivered


@pytest.mark.parametrize(
    ("rate", "batch_size", "request_spans"),
    [
        (None, None, None),
        (None, 7, 7),
        (1000.0, 7, 7),
        (1000.0, None, 100),
        (1.0, None, 1),
        (1e6, None, 512),
    ],
)
def test_a_rate_without_a_batch_size_makes_small_requests(
    rate: float | None, batch_size: int | None, request_spans: int | None
) -> None:
    assert Plan(rate, 1, batch_size).request_spans == request_spans


def test_no_passes_is_for_ever() -> None:
    assert list(Plan(None, 2, None).pass_numbers()) == [1, 2]
    assert list(islice(Plan(None, 0, None).pass_numbers(), 4)) == [1, 2, 3, 4]


def test_every_pass_is_sent_at_the_rate_as_of_its_own_time(tmp_path: Path) -> None:
    messages = [request_of([recorded_span(n) for n in range(1, 101)])]
    recording = Recording.open(write_recording(tmp_path / "spans.zst", messages))
    sender = ScriptedSender([Delivered()])
    sending = Sending(sender)
    clock = sending.clock
    began = clock.time_ns()
    plan = Plan(rate=10.0, passes=3, batch_size=25)
    replay(
        recording,
        plan,
        sending.transmission,
        Progress(sending.sent, 3, clock, io.StringIO()),
        clock=clock,
        sleep=clock.advance,
        rng=Random(1),
    )
    assert (sending.sent.spans, sending.sent.requests) == (300, 12)
    assert clock.monotonic() == pytest.approx(27.5)  # the last request is due at 275 spans
    spans = [span for payload in sender.payloads for span in spans_of(payload)]
    assert len({span.trace_id for span in spans}) == 300
    newest = [max(s.end_time_unix_nano for s in spans[i : i + 100]) for i in (0, 100, 200)]
    assert [(end - began) / 1e9 for end in newest] == pytest.approx([0.0, 7.5, 17.5])
