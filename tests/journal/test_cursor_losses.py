"""What the log says of records that a destination will never get."""

from __future__ import annotations

import pytest

from journal.followed import traces
from spanmill.journal.cursor_losses import CursorLosses, Loss
from spanmill.testing import ManualClock


def test_each_reason_is_told_once_a_minute_with_what_was_lost_since(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    losses = CursorLosses(traces(), clock)
    losses.tell(Loss.BACKLOG, 1, 100)
    losses.tell(Loss.BACKLOG, 2, 100)
    losses.tell(Loss.DAMAGE, 4, 100)
    clock.advance(60)
    losses.tell(Loss.BACKLOG, 8, 100)
    told = [(record.getMessage(), vars(record)["expired_items"]) for record in caplog.records]
    assert told == [(Loss.BACKLOG.value, 1), (Loss.DAMAGE.value, 4), (Loss.BACKLOG.value, 10)]
    assert ["max_backlog" in vars(record) for record in caplog.records] == [True, False, True]
