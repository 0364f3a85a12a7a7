"""How services spell the names of the metrics that are shown."""

from __future__ import annotations

from collections.abc import Container
from typing import Final, TypeAlias

from spanmill.points.batch import Metric
from spanmill.series.passed_through import BYTES_PER_SERIES, text_bytes

SPELLINGS_PER_SERIES: Final = 3
_ENTRY_BYTES: Final = 170

Spelling: TypeAlias = tuple[str, str, str, bool]
"""All that a family's name is made of: name, unit, type, and whether it only rises."""


class Spellings:
    """Knows the spellings of shown families, so that another one costs no translation.

    At most SPELLINGS_PER_SERIES a series, in a quarter of its bytes. With more than that all are
    forgotten, and `complete` says so until no family is shown.
    """

    def __init__(self, max_series: int) -> None:
        self._max_series = max_series
        self._families: dict[Spelling, str] = {}
        self.bytes = 0
        """What they take, estimated."""
        self.complete = True
        """Whether every spelling of every shown family is known."""

    def __contains__(self, spelling: Spelling) -> bool:
        return spelling in self._families

    def items(self) -> list[tuple[Spelling, str]]:
        """Every spelling with its family's name."""
        return list(self._families.items())

    def remember(self, spelling: Spelling, family: str) -> None:
        """Know a spelling of this family from now on."""
        if not self.complete or spelling in self._families:
            return
        self._families[spelling] = family
        self.bytes += _bytes(spelling)
        too_many = len(self._families) > SPELLINGS_PER_SERIES * self._max_series
        if too_many or self.bytes > BYTES_PER_SERIES // 4 * self._max_series:
            self.take_over([], complete=False)

    def take_over(self, spellings: list[tuple[Spelling, str]], *, complete: bool) -> None:
        """Know these and no others."""
        self._families = dict(spellings)
        self.bytes = sum(map(_bytes, self._families))
        self.complete = complete

    def keep(self, shown: Container[str], *, any_shown: bool) -> None:
        """Forget the spellings of families that aren't shown any more."""
        known = [(spelling, name) for spelling, name in self.items() if name in shown]
        self.take_over(known, complete=self.complete or not any_shown)


def spelling_of(metric: Metric) -> Spelling:
    """How a metric spells its family's name."""
    return (metric.name, metric.unit, metric.type, metric.monotonic)


def _bytes(spelling: Spelling) -> int:
    return _ENTRY_BYTES + text_bytes(spelling[:2])
