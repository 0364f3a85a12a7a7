"""Edges between services."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from spanmill.config.section import Section
from spanmill.config.span_metrics import Bounds
from spanmill.config.value_types import Count, Flag, Seconds

_MILLISECOND: Final = 1_000_000
_BOUNDS: Final = tuple(2 * _MILLISECOND << power for power in range(14))

_PEER_ATTRIBUTES: Final = (
    "service.peer.name",
    "peer.service",
    "server.address",
    "net.peer.name",
    "db.namespace",
    "db.name",
    "db.system.name",
    "db.system",
    "messaging.system",
)


def _name_attributes(keys: tuple[str, ...]) -> tuple[str, ...]:
    if any(not key.strip() for key in keys):
        raise ValueError("an attribute key can't be empty")
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"{key!r} is given twice")
    return keys


class ServiceGraphConfig(Section):
    """Edges between services; `service_graph: null` turns them off."""

    wait: Seconds = Field(
        default=30.0,
        description="How long one side of a call waits for the other; then an uninstrumented "
        "peer becomes a virtual node.",
    )
    max_pending: Count = Field(
        default=300_000,
        description="Sides of calls that are remembered at once; the oldest make room, counted "
        "where they had no other side yet. Mind `wait` times the spans in a second.",
    )
    max_series: Count = Field(default=5_000, description="Edges kept at once.")
    idle_timeout: Seconds = Field(
        default=15 * 60.0, description="How long an edge stays without a call."
    )
    user_root: Flag = Field(
        default=True, description="A server span without a parent is called by `user`."
    )
    peer_attributes: Annotated[tuple[str, ...], AfterValidator(_name_attributes)] = Field(
        default=_PEER_ATTRIBUTES,
        description="Attributes of a client span that name a peer which sends no spans; the first "
        "that is there counts.",
    )
    buckets: Bounds = Field(default=_BOUNDS, description="Bounds of the classic histograms.")
