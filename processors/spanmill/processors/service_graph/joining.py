"""What brings the sides of calls together, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from spanmill.processors.service_graph.edges import Edges
from spanmill.processors.service_graph.kept_sides import Remembered
from spanmill.spans.batch import SpanBatch

NO_CLIENT: Final = "no_client"
NO_SERVER: Final = "no_server"
NOT_A_CLIENT: Final = "not_a_client"
ROOT: Final = "root"
EVICTED: Final = "evicted"
TOO_MANY_LINKS: Final = "too_many_links"
UNPAIRED_REASONS: Final = (NO_CLIENT, NO_SERVER, NOT_A_CLIENT, ROOT, EVICTED, TOO_MANY_LINKS)
"""Why a side of a call made no edge, as `spanmill_service_graph_unpaired_spans_total` says."""

USER: Final = "user"
"""The client of a root server span, as Tempo and the Collector name it."""

AT_ONCE: Final = 16_384
"""Sides that are taken at a time, at most: what is held for them meanwhile is bounded by it."""


@dataclass(frozen=True, slots=True)
class JoiningSettings:
    """How long sides wait, how many of them, and what names a peer.

    `peer_attributes` are looked up in their order.
    """

    wait_ns: int
    max_pending: int
    user_root: bool
    peer_attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out: edges, None for none, and the sides that were given up, by reason."""

    edges: Edges | None
    unpaired: Mapping[str, int]


class Joining(Protocol):
    """Pairs the sides of calls; `pairing.Pairing` has the rules.

    There are two, which do the same: one in numpy and dictionaries, the reference, and one that
    is compiled. Names are those of one `Names`, which the owner has too. Times are nanoseconds
    that never fall.
    """

    @property
    def remembered(self) -> int:
        """How many spans are remembered."""
        ...

    @property
    def waiting(self) -> int:
        """How many ends wait for their client, or have waited."""
        ...

    @property
    def keys(self) -> tuple[int, int]:
        """How many keys are known, of spans and of ends that wait."""
        ...

    @property
    def nbytes(self) -> int:
        """The memory of what is remembered, in bytes."""
        ...

    def observe(self, batch: SpanBatch, now_ns: int) -> Outcome:
        """Give up what waited long enough by now, then pair the batch's sides."""
        ...

    def expire(self, now_ns: int) -> Outcome:
        """Give up the sides that waited long enough."""
        ...

    def forget_names(self) -> None:
        """Keep only the names that are in use; the others' codes change."""
        ...

    def remember(self) -> Remembered:
        """A copy of all that is remembered."""
        ...

    def restore(self, remembered: Remembered) -> None:
        """Remember this instead of nothing; its names are known already."""
        ...
