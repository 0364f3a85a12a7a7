"""Latency percentiles over a sliding window."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from spanmill.config.section import Section
from spanmill.config.value_types import Count, Seconds

_SHORTEST: Final = 10.0
_LONGEST: Final = 3600.0
_MOST_SERIES: Final = 100_000


def _window(seconds: float) -> float:
    if not _SHORTEST <= seconds <= _LONGEST:
        raise ValueError("must be from 10s to 1h: every slot of 10 seconds takes memory")
    return seconds


class PercentilesConfig(Section):
    """Percentiles of span durations; `percentiles: null` turns them off."""

    window: Annotated[Seconds, AfterValidator(_window)] = Field(
        default=300.0,
        description="The time that the percentiles look back, from 10s to 1h.",
    )
    max_series: Annotated[Count, Field(le=_MOST_SERIES)] = Field(
        default=1000,
        description="Combinations of service, span name and kind that have percentiles: the "
        "busiest ones; at most 100000.",
    )
