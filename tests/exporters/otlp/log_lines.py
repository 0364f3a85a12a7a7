"""What a destination says in the log."""

from __future__ import annotations

import pytest

LOST = "destination lost, its spans are queued"
BACK = "destination is back"


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def fields(caplog: pytest.LogCaptureFixture, message: str) -> dict[str, object]:
    (record,) = (record for record in caplog.records if record.getMessage() == message)
    return record.__dict__
