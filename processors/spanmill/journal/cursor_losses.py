"""What a destination will never get, said in the log with the reason."""

from __future__ import annotations

import enum
import logging
from collections import Counter
from typing import Final

from spanmill.clock import Clock
from spanmill.journal.log import CursorSettings

_log = logging.getLogger(__name__)

_TOLD_EVERY_SECONDS: Final = 60.0


class Loss(enum.Enum):
    """Why records that wait are given up; the value is what the log says."""

    BACKLOG = "records expired before their destination took them: more waited than max_backlog"
    RETENTION = (
        "records expired before their destination took them: they were older than state.max_age, "
        "or the journal was at state.max_bytes"
    )
    DAMAGE = "records can't be given to their destination: they are damaged, or their file is gone"


class CursorLosses:
    """Says what one destination lost, at most once a minute for each reason."""

    def __init__(self, settings: CursorSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._told_at: dict[Loss, float] = {}
        self._untold: Counter[Loss] = Counter()

    def tell(self, loss: Loss, items: int, queued_bytes: int) -> None:
        """So many items were given up; so many bytes still wait."""
        self._untold[loss] += items
        now = self._clock.monotonic()
        if loss in self._told_at and now - self._told_at[loss] < _TOLD_EVERY_SECONDS:
            return
        fields: dict[str, object] = {
            "destination": self._settings.name,
            "signal": self._settings.signal.value,
            "expired_items": self._untold.pop(loss),
            "queued_bytes": queued_bytes,
        }
        if loss is Loss.BACKLOG:
            fields["max_backlog"] = self._settings.max_backlog
        _log.error(loss.value, extra=fields)
        self._told_at[loss] = now
