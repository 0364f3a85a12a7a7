"""Joining by the kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from spanmill.kernels import load_kernel
from spanmill.processors.service_graph.edges import Edges
from spanmill.processors.service_graph.joining import (
    AT_ONCE,
    EVICTED,
    NO_CLIENT,
    NO_SERVER,
    NOT_A_CLIENT,
    ROOT,
    TOO_MANY_LINKS,
    USER,
    JoiningSettings,
    Outcome,
)
from spanmill.processors.service_graph.kept_sides import KeptSides, Remembered
from spanmill.processors.service_graph.names import NO_NAME, Names
from spanmill.processors.service_graph.peers import DATABASE_ATTRIBUTES
from spanmill.processors.service_graph.sides import Links, service_codes
from spanmill.series.label_values import label_value
from spanmill.series.targets import Target, Targets
from spanmill.spans.batch import AttributeValue, SpanBatch

if TYPE_CHECKING:
    from types import ModuleType

_REASONS: Final = (NO_CLIENT, NO_SERVER, NOT_A_CLIENT, ROOT, EVICTED)
_EDGE_FAILED: Final = 1
_EDGE_CLIENT_KNOWN: Final = 2
_WORDS: Final = 6
_MOST_PEERS: Final = 4_096
_SCRATCH_KEPT: Final = 1_024
_NOTHING: Final[dict[str, int]] = {}


class CompiledJoining:
    """`Joining` by `_columns.py` and `_pairing.py`.

    At most 4,096 peers' names are remembered by the attribute's value beside what the kernel
    holds.
    """

    def __init__(
        self,
        columns: ModuleType,
        pairing: ModuleType,
        settings: JoiningSettings,
        names: Names,
        seed: int,
    ) -> None:
        self._columns = columns
        self._settings = settings
        self._names = names
        self._targets = Targets(Target)
        self._peers: dict[str, int] = {}
        self._pairing = pairing.Pairing(settings.wait_ns, settings.max_pending, seed)
        self._at_once = min(AT_ONCE, settings.max_pending)
        self._sides, self._ends = _scratch(0), _scratch(0)

    @classmethod
    def load(cls, settings: JoiningSettings, names: Names, seed: int) -> CompiledJoining | None:
        """None where the kernels are not there, or where they are switched off."""
        columns = load_kernel("spanmill.processors.service_graph._columns")
        pairing = load_kernel("spanmill.processors.service_graph._pairing")
        if columns is None or pairing is None:
            return None
        return cls(columns, pairing, settings, names, seed)

    @property
    def remembered(self) -> int:
        """How many spans are remembered."""
        remembered: int = self._pairing.remembered
        return remembered

    @property
    def waiting(self) -> int:
        """How many ends wait for their client, or have waited."""
        waiting: int = self._pairing.waiting
        return waiting

    @property
    def keys(self) -> tuple[int, int]:
        """How many keys are known, of spans and of ends that wait."""
        keys: tuple[int, int] = self._pairing.keys
        return keys

    @property
    def nbytes(self) -> int:
        """The memory of what is remembered, in bytes."""
        nbytes: int = self._pairing.nbytes
        return nbytes

    def observe(self, batch: SpanBatch, now_ns: int) -> Outcome:
        """Give up what waited long enough by now, then pair the batch's sides."""
        self._pairing.expire(now_ns)
        if not len(batch):
            return self._outcome(0)
        links = Links.of(batch)
        columns = self._columns_of(batch, links, now_ns)
        user = self._names.code(USER) if self._settings.user_root else NO_NAME
        many = min(len(batch), self._at_once)
        sides, ends = self._scratch(many, len(links.rows))
        while True:
            side_count, end_count = columns.fill_sides(sides, ends, many)
            if not side_count:
                break
            self._pairing.take(sides, side_count, ends, end_count, user)
        return self._outcome(links.left_out)

    def expire(self, now_ns: int) -> Outcome:
        """Give up the sides that waited long enough."""
        self._pairing.expire(now_ns)
        return self._outcome(0)

    def forget_names(self) -> None:
        """Keep only the names that are in use; the others' codes change."""
        used = np.zeros(len(self._names), np.bool_)
        self._pairing.mark_names(used.view(np.uint8))
        self._pairing.rename(self._names.keep(used))
        self._peers.clear()

    def remember(self) -> Remembered:
        """A copy of all that is remembered."""
        spans, ends = KeptSides.empty(self.remembered), KeptSides.empty(self.waiting)
        self._pairing.copy_spans(spans.words, spans.services, spans.flags)
        self._pairing.copy_ends(ends.words, ends.services, ends.flags)
        return Remembered(spans, ends)

    def restore(self, remembered: Remembered) -> None:
        """Remember this instead of nothing; its names are known already."""
        spans, ends = remembered.spans, remembered.ends
        self._pairing.take_over(
            (spans.words, spans.services, spans.flags),
            (ends.words, ends.services, ends.flags),
            len(self._names),
        )

    def _columns_of(self, batch: SpanBatch, links: Links, now_ns: int) -> Any:
        columns = {key: batch.attributes[key] for key in self._settings.peer_attributes}
        databases = (batch.attributes[key] for key in DATABASE_ATTRIBUTES)
        return self._columns.Columns(
            arrival_ns=now_ns,
            kind=_whole(batch.kind),
            status=_whole(batch.status),
            trace_id=_whole(batch.trace_id),
            span_id=_whole(batch.span_id),
            parent_id=_whole(batch.parent_id),
            duration=_whole(batch.duration),
            weight=_whole(batch.weight),
            resource=_whole(batch.resource.codes),
            services=service_codes(batch, self._targets, self._names),
            peers=tuple(
                (_whole(column.codes), self._peer_codes(column.values))
                for column in columns.values()
                if len(column.values)
            ),
            databases=tuple(_whole(c.codes) for c in databases if len(c.values)),
            link_rows=links.rows,
            link_keys=links.keys,
        )

    def _peer_codes(self, values: Sequence[AttributeValue]) -> npt.NDArray[np.int32]:
        """The code of the name that each value gives, NO_NAME where it is empty."""
        return np.array([self._peer_code(value) for value in values], np.int32)

    def _peer_code(self, value: AttributeValue) -> int:
        if type(value) is not str:
            return self._named(label_value(value))
        code = self._peers.get(value)
        if code is None:
            code = self._named(label_value(value))
            if len(self._peers) >= _MOST_PEERS:
                self._peers.clear()
            self._peers[value] = code
        return code

    def _named(self, text: str) -> int:
        return self._names.code(text) if text else NO_NAME

    def _scratch(
        self, sides: int, links: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Room for so many sides, and for as many ends and one for each link."""
        if sides > len(self._sides) or sides + links > len(self._ends):
            if sides + links > _SCRATCH_KEPT:
                return _scratch(sides), _scratch(sides + links)
            self._sides, self._ends = _scratch(_SCRATCH_KEPT), _scratch(_SCRATCH_KEPT)
        return self._sides, self._ends

    def _outcome(self, links_left_out: int) -> Outcome:
        unpaired = self._pairing.take_unpaired()
        reasons = dict(zip(_REASONS, unpaired, strict=True)) if any(unpaired) else _NOTHING
        if links_left_out:
            reasons = reasons | {TOO_MANY_LINKS: links_left_out}
        many = self._pairing.edge_count
        return Outcome(self._edges(many) if many else None, reasons)

    def _edges(self, many: int) -> Edges:
        columns = np.empty((5, many), np.int64)
        self._pairing.take_edges(columns)
        positions, flags, client_ns, server_ns, weight = columns
        keys = np.empty((2, many), np.int64)
        distinct = self._columns.number_keys(positions, keys[0], keys[1])
        return Edges(
            keys=keys[0, :distinct],
            counts=keys[1, :distinct],
            positions=positions,
            failed=flags & _EDGE_FAILED != 0,
            client_ns=client_ns.view(np.uint64),
            server_ns=server_ns.view(np.uint64),
            client_known=flags & _EDGE_CLIENT_KNOWN != 0,
            weight=weight.view(np.float64),
        )


def _whole(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array, one element after the other in memory, as the kernels read it."""
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _scratch(records: int) -> npt.NDArray[np.int64]:
    return np.empty((records, _WORDS), np.int64)
