"""Whether a destination answers, said once when it changes."""

from __future__ import annotations

import logging

from spanmill.clock import Clock
from spanmill.exporters.otlp.account import EXPIRED, Account

_log = logging.getLogger(__name__)


class Outage:
    """Writes one line when a destination is lost, and one when it is back."""

    def __init__(self, account: Account, clock: Clock) -> None:
        self._account = account
        self._items = account.signal.items
        self._whose = {"destination": account.name, "signal": account.signal.name}
        self._clock = clock
        self._since: float | None = None
        self._expired_before = 0

    @property
    def lasts(self) -> bool:
        """Whether the destination is lost at present."""
        return self._since is not None

    def failed(self, reason: str) -> None:
        """An attempt came to nothing."""
        if self._since is not None:
            return
        self._since = self._clock.monotonic()
        self._expired_before = self._account.total(EXPIRED)
        _log.warning(
            f"destination lost, its {self._items} are queued",
            extra={**self._whose, "reason": reason},
        )

    def answered(self) -> None:
        """The destination answered, whatever it said."""
        if self._since is None:
            return
        away = self._clock.monotonic() - self._since
        self._since = None
        _log.info(
            "destination is back",
            extra={
                **self._whose,
                "away_seconds": round(away, 1),
                f"expired_{self._items}": self._account.total(EXPIRED) - self._expired_before,
            },
        )
