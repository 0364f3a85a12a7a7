"""Log lines about a destination, few enough to be read."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final

from spanmill.clock import Clock
from spanmill.exporters.otlp.signals import OtlpSignal

_log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 60.0


class Notices:
    """Warnings of which each kind is written once a minute at the most.

    The next one of a kind says how many were left out before it.
    """

    def __init__(self, destination: str, signal: OtlpSignal, clock: Clock) -> None:
        self._whose = {"destination": destination, "signal": signal.name}
        self._clock = clock
        self._written: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()
        self._said: set[str] = set()

    def warn(self, event: str, **fields: object) -> None:
        """Write the event with its fields, or count that it was left out."""
        now = self._clock.monotonic()
        if now - self._written.get(event, -INTERVAL_SECONDS) < INTERVAL_SECONDS:
            self._left_out[event] += 1
            return
        self._written[event] = now
        if left_out := self._left_out.pop(event, 0):
            fields["left_out"] = left_out
        _log.warning(event, extra={**self._whose, **fields})

    def warn_once(self, event: str) -> None:
        """Write the event the first time only: it says something that doesn't change."""
        if event not in self._said:
            self._said.add(event)
            _log.warning(event, extra=self._whose)
