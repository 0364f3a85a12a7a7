"""The metrics that services send."""

from __future__ import annotations

from pydantic import Field

from spanmill.config.section import Section
from spanmill.config.value_types import Count, Seconds


class ServiceMetricsConfig(Section):
    """What services send as OTLP metrics, shown on the scrape beside what is derived."""

    max_series: Count = Field(
        default=50_000,
        description="Series kept at once; points of further ones are forwarded and counted, "
        "but not shown.",
    )
    stale_after: Seconds = Field(
        default=5 * 60.0, description="How long a series stays without a new point."
    )
