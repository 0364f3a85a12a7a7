"""What is shown while spans are sent."""

from __future__ import annotations

import io

from spanmill.cli.replay.progress import PRINTED_EVERY, REDRAWN_EVERY, Progress, summary
from spanmill.cli.replay.transmission import Sent
from spanmill.testing import ManualClock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_that_is_rewritten() -> None:
    clock, out, sent = ManualClock(), Terminal(), Sent()
    progress = Progress(sent, 2, clock, out)
    progress.begin_pass(1)
    progress.waiting("connection refused, and more words")
    clock.advance(REDRAWN_EVERY)
    sent.spans, sent.requests = 10, 1
    progress.update()
    progress.update()
    progress.end()
    first, second = out.getvalue().removeprefix("\r").removesuffix("\n").split("\r")
    assert first == (
        "pass 1 of 2: 0 spans in 0 requests, 0.0 s, 0 spans/s, 0 rejected; "
        "trying again: connection refused, and more words"
    )
    assert second.rstrip() == "pass 1 of 2: 10 spans in 1 requests, 0.2 s, 50 spans/s, 0 rejected"
    assert len(second) == len(first)  # the longer line is covered


def test_elsewhere_there_is_a_line_every_few_seconds() -> None:
    clock, out = ManualClock(), io.StringIO()
    progress = Progress(Sent(), 0, clock, out)
    progress.begin_pass(3)
    for _ in range(23):
        progress.update()
        clock.advance(PRINTED_EVERY / 10)
    progress.end()
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0] == "pass 3: 0 spans in 0 requests, 5.0 s, 0 spans/s, 0 rejected"


def test_the_summary_has_every_figure() -> None:
    sent = Sent(spans=1000, requests=20, rejected=3)
    assert summary(sent, 2.5) == "1000 spans in 20 requests, 2.5 s, 400 spans/s, 3 rejected"
    assert "0 spans/s" in summary(Sent(), 0.0)
