"""Spans go out at the rate that was asked for."""

from __future__ import annotations

import pytest

from spanmill.cli.replay.pace import Pace
from spanmill.testing import ManualClock


def test_requests_are_spaced_by_their_spans() -> None:
    clock = ManualClock()
    pace = Pace(100.0, clock, clock.advance)
    moments = []
    for spans in (50, 10, 100, 1):
        pace.wait(spans)
        moments.append(clock.monotonic())
    assert moments == pytest.approx([0.0, 0.5, 0.6, 1.6])


def test_time_spent_on_sending_is_made_up_for() -> None:
    clock = ManualClock()
    pace = Pace(100.0, clock, clock.advance)
    pace.wait(50)
    clock.advance(0.3)
    pace.wait(50)
    assert clock.monotonic() == pytest.approx(0.5)


def test_a_long_delay_is_not_made_up_for_at_full_speed() -> None:
    clock = ManualClock()
    pace = Pace(100.0, clock, clock.advance)
    pace.wait(50)
    clock.advance(60.0)
    sent = 0
    while clock.monotonic() < 60.1:
        pace.wait(10)
        sent += 10
    assert sent <= 120


def test_without_a_rate_nothing_waits() -> None:
    clock = ManualClock()
    pace = Pace(None, clock, clock.advance)
    for _ in range(100):
        pace.wait(1_000_000)
    assert clock.monotonic() == 0.0
