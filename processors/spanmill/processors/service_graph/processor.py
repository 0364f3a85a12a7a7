"""The service graph: who calls whom, how often, how long, and how often it fails."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.processors.service_graph.edges import VIRTUAL_NODE, EdgeFamilies, Edges, joined
from spanmill.processors.service_graph.names import NO_NAME, Names
from spanmill.processors.service_graph.pairing import (
    EVICTED,
    FAILED,
    MESSAGING,
    NO_CLIENT,
    NO_SERVER,
    NOT_A_CLIENT,
    Outcome,
    Pairing,
)
from spanmill.processors.service_graph.peers import DATABASE_ATTRIBUTES
from spanmill.processors.service_graph.ring import Records, chosen
from spanmill.processors.service_graph.sides import rows_of_sides, service_codes, sides_of
from spanmill.series.registry import Registry
from spanmill.spans.batch import SpanBatch
from spanmill.telemetry import Telemetry

USER: Final = "user"
"""The client of a root server span, as Tempo and the Collector name it."""

ROOT: Final = "root"
TOO_MANY_LINKS: Final = "too_many_links"
UNPAIRED_REASONS: Final = (NO_CLIENT, NO_SERVER, NOT_A_CLIENT, ROOT, EVICTED, TOO_MANY_LINKS)
"""Why a side of a call made no edge, as `spanmill_service_graph_unpaired_spans_total` says."""


@dataclass(frozen=True, slots=True)
class ServiceGraphSettings:
    """How long sides wait, how many of them, and what names a peer.

    `peer_attributes` are looked up in their order; `buckets_ns` are bounds in nanoseconds.
    """

    wait_ns: int
    max_pending: int
    max_series: int
    idle_timeout_ns: int
    user_root: bool
    peer_attributes: tuple[str, ...]
    buckets_ns: tuple[int, ...]


class ServiceGraph:
    """Counts each request between two services once, in the series of its edge.

    The state is that of `Pairing` (at most `max_pending` spans and as many waiting ends), of
    `Names` and of the label sets (at most `max_series`).
    """

    name = "service_graph"

    def __init__(
        self,
        settings: ServiceGraphSettings,
        registry: Registry,
        telemetry: Telemetry,  # noqa: ARG002 - every processor is made with the same arguments
    ) -> None:
        self.attributes = tuple(dict.fromkeys((*settings.peer_attributes, *DATABASE_ATTRIBUTES)))
        self._settings = settings
        self._names = Names()
        self._pairing = Pairing(settings.wait_ns, settings.max_pending)
        self._families = EdgeFamilies(
            registry,
            settings.buckets_ns,
            settings.max_series,
            settings.idle_timeout_ns,
            self.name,
        )
        self._unpaired = registry.counter(
            "spanmill_service_graph_unpaired_spans_total",
            "Sides of calls that made no edge, by reason; a consumer counts once for each link.",
            ("reason",),
        )
        for reason in UNPAIRED_REASONS:
            self._unpaired.add(0, reason)
        self._declare_pending(registry)

    def observe(self, batch: SpanBatch) -> None:
        """Pair the spans of a batch with each other and with those before them."""
        outcome = Outcome()
        self._pairing.expire(batch.arrival_ns, outcome)
        rows = rows_of_sides(batch)
        if len(rows):
            services = service_codes(batch, self._names)
            for begin in range(0, len(rows), self._settings.max_pending):
                some = rows[begin : begin + self._settings.max_pending]
                self._take(batch, some, services, outcome)
        self._count(outcome, batch.arrival_ns)

    def tick(self, now_ns: int) -> None:
        """Give up the sides that waited long enough."""
        outcome = Outcome()
        self._pairing.expire(now_ns, outcome)
        self._count(outcome, now_ns)

    def _take(
        self,
        batch: SpanBatch,
        rows: npt.NDArray[np.int64],
        services: npt.NDArray[np.int32],
        outcome: Outcome,
    ) -> None:
        sides = sides_of(batch, rows, services, self._settings.peer_attributes, self._names)
        new = self._pairing.take(sides.spans, sides.ends, sides.owner, outcome)
        outcome.unpaired[TOO_MANY_LINKS] += sides.links_left_out
        roots = chosen(sides.spans, new & sides.roots)
        if len(roots):
            self._take_roots(roots, outcome)

    def _take_roots(self, roots: Records, outcome: Outcome) -> None:
        """The edges of spans that name no client: a user's requests, a broker's messages."""
        consumes = roots["flags"] & MESSAGING != 0
        client = np.where(consumes, roots["peer"], NO_NAME)
        if self._settings.user_root:
            client = np.where(consumes, client, self._names.code(USER))
        known = client != NO_NAME
        outcome.unpaired[NO_CLIENT] += int(np.count_nonzero(~known & consumes))
        outcome.unpaired[ROOT] += int(np.count_nonzero(~known & ~consumes))
        roots = chosen(roots, known)
        outcome.edges.append(
            Edges(
                client=client[known].astype(np.int32),
                server=roots["service"],
                connection_type=np.full(len(roots), VIRTUAL_NODE, np.uint8),
                failed=roots["flags"] & FAILED != 0,
                client_ns=np.zeros(len(roots), np.uint64),
                server_ns=roots["duration"],
                client_known=np.zeros(len(roots), np.bool_),
                weight=roots["weight"],
            )
        )

    def _count(self, outcome: Outcome, now_ns: int) -> None:
        if outcome.edges:
            self._families.count(joined(outcome.edges), self._names, now_ns)
        for reason, spans in Counter(outcome.unpaired).items():
            if spans:
                self._unpaired.add(spans, reason)
        if self._names.crowded:
            self._pairing.rename(self._names.keep(self._pairing.names_in_use()))

    def _declare_pending(self, registry: Registry) -> None:
        remembered = registry.gauge(
            "spanmill_service_graph_remembered_spans", "Sides of calls that are remembered now."
        )
        waiting = registry.gauge(
            "spanmill_service_graph_waiting_ends",
            "Server sides among them that wait for their client, and those that have waited.",
        )

        def refresh() -> None:
            remembered.set(len(self._pairing.spans))
            waiting.set(len(self._pairing.ends))

        registry.before_snapshot(refresh)
