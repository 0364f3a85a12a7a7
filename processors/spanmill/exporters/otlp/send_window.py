"""How many requests one destination may have under way, and when the next one may begin."""

from __future__ import annotations

import math
from typing import Final

MAX_BYTES_IN_FLIGHT: Final = 8 * 1024 * 1024
"""Payload bytes under way at which no further request begins; one alone may be larger."""


class SendWindow:
    """Opens to `max_requests` while the destination answers, and to one probe while it doesn't.

    Knows requests by their number and bytes only. Times are monotonic seconds. Not for several
    threads at once.
    """

    def __init__(self, max_requests: int, max_bytes: int = MAX_BYTES_IN_FLIGHT) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._earliest = -math.inf
        self.requests = 0
        """Under way now."""
        self.bytes = 0
        """Of their payloads."""
        self.failures = 0
        """How often `failed` was called."""
        self.probing = False
        """Whether the destination failed, and has not answered since."""

    def opens_in(self, now: float) -> float:
        """Seconds until a request may begin; infinite where another one has to end first."""
        allowed = 1 if self.probing else self._max_requests
        if self.requests >= allowed or self.bytes >= self._max_bytes:
            return math.inf
        return max(0.0, self._earliest - now)

    def began(self, size: int) -> None:
        """A request of so many bytes is under way."""
        self.requests += 1
        self.bytes += size

    def ended(self, size: int) -> None:
        """It is under way no longer."""
        self.requests -= 1
        self.bytes -= size

    def answered(self) -> None:
        """The destination answers: as many as may go, once the latest pause is over."""
        self.probing = False

    def failed(self, earliest: float) -> None:
        """A request came to nothing: one at a time from now on, and none before `earliest`."""
        self.failures += 1
        self.probing = True
        self.pause(earliest)

    def pause(self, earliest: float) -> None:
        """Begin no request before `earliest`."""
        self._earliest = max(self._earliest, earliest)

    def hurry(self) -> None:
        """Forget the pause."""
        self._earliest = -math.inf
