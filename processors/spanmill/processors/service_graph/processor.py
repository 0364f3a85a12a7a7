"""The service graph: who calls whom, how often, how long, and how often it fails."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass
from typing import Final

from spanmill.journal.state import State
from spanmill.processors.service_graph.compiled import CompiledJoining
from spanmill.processors.service_graph.edges import EdgeFamilies
from spanmill.processors.service_graph.joining import (
    UNPAIRED_REASONS,
    Joining,
    JoiningSettings,
    Outcome,
)
from spanmill.processors.service_graph.kept_sides import read_remembered
from spanmill.processors.service_graph.names import Names
from spanmill.processors.service_graph.peers import DATABASE_ATTRIBUTES
from spanmill.processors.service_graph.reference import ReferenceJoining
from spanmill.series.elapsed import Elapsed
from spanmill.series.registry import Registry
from spanmill.series.state_reader import VERSION, StateReader
from spanmill.spans.batch import SpanBatch
from spanmill.telemetry import Telemetry

_STATE_VERSION: Final = 1


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
    `Names` and of the label sets (at most `max_series`). What waits is measured by `Elapsed`:
    where the clock is set back, nobody waits until it has caught up.
    """

    name = "service_graph"

    def __init__(
        self,
        settings: ServiceGraphSettings,
        registry: Registry,
        telemetry: Telemetry,  # noqa: ARG002 - every processor is made with the same arguments
        seed: int | None = None,
    ) -> None:
        """`seed`, 64 bits, is for the tables of the kernel alone; one by chance without it."""
        self.attributes = tuple(dict.fromkeys((*settings.peer_attributes, *DATABASE_ATTRIBUTES)))
        self._elapsed = Elapsed(settings.wait_ns)
        self._names = Names()
        joining = JoiningSettings(
            settings.wait_ns, settings.max_pending, settings.user_root, settings.peer_attributes
        )
        chance = secrets.randbits(64) if seed is None else seed
        self._joining: Joining = CompiledJoining.load(
            joining, self._names, chance
        ) or ReferenceJoining(joining, self._names)
        self._families = EdgeFamilies(
            registry,
            settings.buckets_ns,
            settings.max_series,
            settings.idle_timeout_ns,
            self.name,
        )
        self._unpaired: Counter[str] = Counter()
        self._declare_unpaired(registry)
        self._declare_pending(registry)
        registry.keep(self.name, self)

    def observe(self, batch: SpanBatch) -> None:
        """Pair the spans of a batch with each other and with those before them."""
        now_ns = self._elapsed.at(batch.arrival_ns)
        self._count(self._joining.observe(batch, now_ns), batch.arrival_ns)

    def tick(self, now_ns: int) -> None:
        """Give up the sides that waited long enough."""
        self._count(self._joining.expire(self._elapsed.at(now_ns)), now_ns)

    def state(self) -> State:
        """What a restart brings back, beside the series of edges."""
        return {
            VERSION: _STATE_VERSION,
            "elapsed": self._elapsed.state(),
            "names": self._names.all(),
            "remembered": self._joining.remember().state(),
            "unpaired": {reason: spans for reason, spans in self._unpaired.items() if spans},
        }

    def restore(self, state: State) -> None:
        """Take over a state, whatever the settings were; raises CheckpointError for others.

        Sides that the settings have no room for make room with the next batch.
        """
        kept = StateReader(self.name, state)
        kept.version(_STATE_VERSION)
        names, unpaired = kept.texts("names"), kept.part("unpaired")
        if len(set(names)) < len(names):
            raise kept.error("a name is there twice")
        counts = {reason: unpaired.integer(reason) for reason in unpaired.names()}
        if not counts.keys() <= set(UNPAIRED_REASONS):
            raise kept.error("sides were unpaired for a reason that is unknown here")
        elapsed = kept.part("elapsed")
        remembered = read_remembered(
            kept.part("remembered"), len(names), elapsed.integer("elapsed_ns")
        )
        self._elapsed.restore(elapsed)
        self._names.restore(names)
        self._joining.restore(remembered)
        self._joining.forget_names()
        self._unpaired = Counter(counts)

    @property
    def remembered_bytes(self) -> int:
        """The memory of the spans and ends that are remembered, in bytes."""
        return self._joining.nbytes

    def _count(self, outcome: Outcome, now_ns: int) -> None:
        if outcome.edges is not None:
            self._families.count(outcome.edges, self._names, now_ns)
        self._unpaired.update(outcome.unpaired)
        if self._names.crowded:
            self._joining.forget_names()
            self._families.forget_keys()

    def _declare_unpaired(self, registry: Registry) -> None:
        unpaired = registry.counter(
            "spanmill_service_graph_unpaired_spans_total",
            "Sides of calls that made no edge, by reason; a consumer counts once for each link.",
            ("reason",),
            kept=True,
        )
        for reason in UNPAIRED_REASONS:
            unpaired.add(0, reason)

        def add() -> None:
            for reason, spans in self._unpaired.items():
                unpaired.add(spans, reason)
            self._unpaired.clear()

        registry.before_snapshot(add)

    def _declare_pending(self, registry: Registry) -> None:
        remembered = registry.gauge(
            "spanmill_service_graph_remembered_spans", "Sides of calls that are remembered now."
        )
        waiting = registry.gauge(
            "spanmill_service_graph_waiting_ends",
            "Server sides among them that wait for their client, and those that have waited.",
        )

        def refresh() -> None:
            remembered.set(self._joining.remembered)
            waiting.set(self._joining.waiting)

        registry.before_snapshot(refresh)
