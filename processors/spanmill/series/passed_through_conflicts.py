"""Which services' metrics can't be shown beside others, said in the log without filling it."""

from __future__ import annotations

import logging
from typing import Final

from spanmill.series.snapshot import Family

LINES_PER_MINUTE: Final = 10
"""How many conflicts are logged one by one; of the others a minute has one line."""

_MINUTE_NS: Final = 60_000_000_000
_REMEMBERED: Final = 1000

_log = logging.getLogger(__name__)


class ConflictLog:
    """Logs each conflict once, as long as it is among the last 1,000, ten a minute at most.

    How many more were met, one line says when the minute is over. Minutes go by the clock of
    arrivals. Memory: 1,000 fingerprints.
    """

    def __init__(self) -> None:
        self._known: dict[int, None] = {}
        self._minute = -1
        self._lines = 0
        self._more = 0

    def note(self, family: Family, now_ns: int) -> None:
        """A family that can't be shown was met."""
        self.tick(now_ns)
        conflict = hash((family.name, family.type, family.unit))
        if conflict in self._known:
            return
        if len(self._known) == _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[conflict] = None
        if self._lines == LINES_PER_MINUTE:
            self._more += 1
            return
        self._lines += 1
        _log.warning(
            "a service's metric can't be shown: its name is taken by one of another type or unit",
            extra={"metric": family.name, "type": family.type, "unit": family.unit},
        )

    def tick(self, now_ns: int) -> None:
        """Say how many more there were, once a minute is over."""
        minute = now_ns // _MINUTE_NS
        if minute == self._minute:
            return
        if self._more:
            _log.warning(
                "more metrics of services couldn't be shown: their names are taken",
                extra={"conflicts": self._more},
            )
        self._minute = minute
        self._lines = self._more = 0
