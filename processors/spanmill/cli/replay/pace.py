"""A steady pace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from spanmill.clock import Clock

_CATCHING_UP: Final = 1.0
"""Seconds that may be made up for at full speed after a delay; the rest is let go."""


class Pace:
    """Lets so many spans a second through; without a rate, all at once."""

    def __init__(self, rate: float | None, clock: Clock, sleep: Callable[[float], None]) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._due = clock.monotonic()

    def wait(self, spans: int) -> None:
        """Return when the next request, of so many spans, is due."""
        if self._rate is None:
            return
        now = self._clock.monotonic()
        self._due = max(self._due, now - _CATCHING_UP)
        if self._due > now:
            self._sleep(self._due - now)
        self._due += spans / self._rate
