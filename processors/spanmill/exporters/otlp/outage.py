"""Whether a destination answers, said once when it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from spanmill.clock import Clock

_log = logging.getLogger(__name__)


class Outage:
    """Writes one line when a destination is lost, and one when it is back.

    `lost` and `back` are these lines, `whose` the fields of both. The second one says as `figure`
    by how much `total` has grown meanwhile.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        whose: Mapping[str, str],
        lost: str,
        back: str,
        figure: str,
        total: Callable[[], int],
    ) -> None:
        self._clock = clock
        self._whose = whose
        self._lost = lost
        self._back = back
        self._figure = figure
        self._total = total
        self._total_before = 0
        self._since: float | None = None

    @property
    def lasts(self) -> bool:
        """Whether the destination is lost at present."""
        return self._since is not None

    def failed(self, reason: str) -> None:
        """An attempt came to nothing."""
        if self._since is not None:
            return
        self._since = self._clock.monotonic()
        self._total_before = self._total()
        _log.warning(self._lost, extra={**self._whose, "reason": reason})

    def answered(self) -> None:
        """The destination answered, whatever it said."""
        if self._since is None:
            return
        away = self._clock.monotonic() - self._since
        self._since = None
        grown = self._total() - self._total_before
        fields = {**self._whose, "away_seconds": round(away, 1), self._figure: grown}
        _log.info(self._back, extra=fields)
