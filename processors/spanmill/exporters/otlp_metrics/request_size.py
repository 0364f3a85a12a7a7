"""How large the requests of a push are made."""

from __future__ import annotations

from typing import Final

from spanmill.exporters.otlp.delivery import SMALLEST_REQUEST

LARGEST_REQUEST: Final = 4 << 20
"""Bytes of a request at most: to encode it takes four times as many for a moment, and larger ones
gain nothing."""


class RequestSize:
    """Half of what a destination refused or didn't answer, at least 64 KiB.

    After silence it grows again with every push that is answered; what was refused as too large
    stays the limit.
    """

    def __init__(self, max_bytes: int) -> None:
        self._floor = min(SMALLEST_REQUEST, max_bytes)
        self._limit = min(max_bytes, LARGEST_REQUEST)
        self.bytes = self._limit

    def refused(self, size: int) -> None:
        """A request of this size was too large."""
        self._limit = max(min(self._limit, size // 2), self._floor)
        self.bytes = min(self.bytes, self._limit)

    def unanswered(self, size: int) -> None:
        """Nothing came back for a request of this size."""
        self.bytes = max(min(self.bytes, size // 2), self._floor)

    def answered(self) -> None:
        """All of a push was answered."""
        self.bytes = min(self.bytes * 2, self._limit)
