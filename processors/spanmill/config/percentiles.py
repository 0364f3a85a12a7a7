"""Latency percentiles over a sliding window."""

from __future__ import annotations

from pydantic import Field

from spanmill.config.section import Section
from spanmill.config.value_types import Count, Seconds


class PercentilesConfig(Section):
    """Percentiles of span durations; `percentiles: null` turns them off."""

    window: Seconds = Field(default=300.0, description="The time that the percentiles look back.")
    max_series: Count = Field(
        default=1000,
        description="Combinations of service, span name and kind that have percentiles: the "
        "busiest ones.",
    )
