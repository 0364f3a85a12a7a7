"""Whether a destination of pushes answers, said once when it changes."""

from __future__ import annotations

import logging

from spanmill.clock import Clock

_log = logging.getLogger(__name__)


class PushOutage:
    """Writes one line when a destination is lost, and one when it is back."""

    def __init__(self, destination: str, clock: Clock) -> None:
        self._destination = destination
        self._clock = clock
        self._since: float | None = None
        self._failed = 0

    def failed(self, reason: str) -> None:
        """An attempt came to nothing."""
        if self._since is not None:
            return
        self._since = self._clock.monotonic()
        self._failed = 0
        _log.warning(
            "destination lost, derived metrics are not pushed",
            extra={"destination": self._destination, "reason": reason},
        )

    def given_up(self) -> None:
        """A push came to nothing."""
        self._failed += 1

    def answered(self) -> None:
        """The destination answered, whatever it said."""
        if self._since is None:
            return
        away = self._clock.monotonic() - self._since
        self._since = None
        _log.info(
            "destination is back, derived metrics are pushed again",
            extra={
                "destination": self._destination,
                "away_seconds": round(away, 1),
                "failed_pushes": self._failed,
            },
        )
