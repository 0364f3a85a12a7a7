"""Joining in numpy and dictionaries: what runs where there is no kernel, and what it must equal."""

from __future__ import annotations

import numpy as np

from spanmill.processors.service_graph.edges import VIRTUAL_NODE
from spanmill.processors.service_graph.joining import (
    AT_ONCE,
    NO_CLIENT,
    ROOT,
    TOO_MANY_LINKS,
    USER,
    JoiningSettings,
    Outcome,
)
from spanmill.processors.service_graph.kept_sides import Remembered
from spanmill.processors.service_graph.names import NO_NAME, Names
from spanmill.processors.service_graph.pairing import FAILED, MESSAGING, Found, Pairing, Pairs
from spanmill.processors.service_graph.ring import Records, chosen
from spanmill.processors.service_graph.sides import rows_of_sides, service_codes, sides_of
from spanmill.series.targets import Target, Targets
from spanmill.spans.batch import SpanBatch


class ReferenceJoining:
    """`Joining` by `sides.py` and `pairing.py`."""

    def __init__(self, settings: JoiningSettings, names: Names) -> None:
        self._settings = settings
        self._names = names
        self._targets = Targets(Target)
        self._pairing = Pairing(settings.wait_ns, settings.max_pending)

    @property
    def remembered(self) -> int:
        """How many spans are remembered."""
        return len(self._pairing.spans)

    @property
    def waiting(self) -> int:
        """How many ends wait for their client, or have waited."""
        return len(self._pairing.ends)

    @property
    def keys(self) -> tuple[int, int]:
        """How many keys are known, of spans and of ends that wait."""
        return self._pairing.keys

    @property
    def nbytes(self) -> int:
        """The memory of what is remembered, in bytes."""
        return self._pairing.nbytes

    def observe(self, batch: SpanBatch, now_ns: int) -> Outcome:
        """Give up what waited long enough by now, then pair the batch's sides."""
        found = Found()
        self._pairing.expire(now_ns, found)
        rows = rows_of_sides(batch)
        if len(rows):
            settings = self._settings
            services = service_codes(batch, self._targets, self._names)
            at_once = min(AT_ONCE, settings.max_pending)
            for begin in range(0, len(rows), at_once):
                some = rows[begin : begin + at_once]
                sides = sides_of(
                    batch, some, services, settings.peer_attributes, self._names, now_ns=now_ns
                )
                new = self._pairing.take(sides.spans, sides.ends, sides.owner, found)
                found.unpaired[TOO_MANY_LINKS] += sides.links_left_out
                roots = chosen(sides.spans, new & sides.roots)
                if len(roots):
                    self._take_roots(roots, found)
        return Outcome(found.edges(), found.unpaired)

    def expire(self, now_ns: int) -> Outcome:
        """Give up the sides that waited long enough."""
        found = Found()
        self._pairing.expire(now_ns, found)
        return Outcome(found.edges(), found.unpaired)

    def forget_names(self) -> None:
        """Keep only the names that are in use; the others' codes change."""
        used = np.zeros(len(self._names), np.bool_)
        held = self._pairing.names_in_use()
        used[held[held != NO_NAME]] = True
        self._pairing.rename(self._names.keep(used))

    def remember(self) -> Remembered:
        """A copy of all that is remembered."""
        return self._pairing.remember()

    def restore(self, remembered: Remembered) -> None:
        """Remember this instead of nothing; its names are known already."""
        self._pairing.restore(remembered)

    def _take_roots(self, roots: Records, found: Found) -> None:
        """The edges of spans that name no client: a user's requests, a broker's messages."""
        consumes = roots["flags"] & MESSAGING != 0
        user = self._names.code(USER) if self._settings.user_root else NO_NAME
        client = np.where(consumes, roots["peer"], user)
        known = client != NO_NAME
        found.unpaired[NO_CLIENT] += int(np.count_nonzero(~known & consumes))
        found.unpaired[ROOT] += int(np.count_nonzero(~known & ~consumes))
        roots = chosen(roots, known)
        found.pairs.append(
            Pairs(
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
