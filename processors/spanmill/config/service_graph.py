"""Edges between services."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from spanmill.config.section import Section
from spanmill.config.span_metrics import Bounds
from spanmill.config.value_types import Count, Flag, Seconds

_MILLISECOND: Final = 1_000_000
_BOUNDS: Final = tuple(
    milliseconds * _MILLISECOND for milliseconds in (100, 200, 400, 800, 1600, 3200, 6400, 12800)
)


class ServiceGraphConfig(Section):
    """Edges between services; `service_graph: null` turns them off."""

    wait: Seconds = Field(
        default=30.0,
        description="How long one side of a call waits for the other; then an uninstrumented "
        "peer becomes a virtual node.",
    )
    max_pending: Count = Field(
        default=100_000, description="Sides of calls that wait at once; further ones are counted."
    )
    max_series: Count = Field(default=5_000, description="Edges kept at once.")
    idle_timeout: Seconds = Field(
        default=15 * 60.0, description="How long an edge stays without a call."
    )
    user_root: Flag = Field(
        default=True, description="A root server span without a parent is called by `user`."
    )
    buckets: Bounds = Field(default=_BOUNDS, description="Bounds of the classic histograms.")
