"""How long to wait before a request is sent again."""

from __future__ import annotations

from random import Random
from typing import Final

from spanmill.exporters.otlp.settings import RetrySettings

LONGEST_NAMED_WAIT: Final = 600.0
"""Seconds: a destination's clock or setting that is wrong must not silence us for a day."""


class Backoff:
    """Exponential back-off with full jitter: uniform from 0 to a ceiling that grows.

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015), "full jitter".
    """

    def __init__(self, settings: RetrySettings, rng: Random) -> None:
        self._settings = settings
        self._rng = rng
        self._ceiling = settings.initial_interval

    def next_wait(self, named: float | None) -> float:
        """Seconds to wait; at least `named`, where the destination named a time.

        A named wait doesn't make the next one longer, and is spread over `initial_interval`, so
        that not all that were sent away return at one moment.
        """
        settings = self._settings
        if named is not None and named > 0:
            return min(named, LONGEST_NAMED_WAIT) + self._rng.uniform(0, settings.initial_interval)
        wait = self._rng.uniform(0, min(self._ceiling, settings.max_interval))
        self._ceiling = min(self._ceiling * settings.multiplier, settings.max_interval)
        return wait

    def reset(self) -> None:
        """Begin anew at `initial_interval`."""
        self._ceiling = self._settings.initial_interval
