"""The two sides of each call, brought together by the id of the client's span."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from itertools import count, repeat
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.processors.service_graph.edges import (
    DATABASE,
    DIRECT,
    MESSAGING_SYSTEM,
    VIRTUAL_NODE,
    Edges,
    edge_keys,
)
from spanmill.processors.service_graph.joining import EVICTED, NO_CLIENT, NO_SERVER, NOT_A_CLIENT
from spanmill.processors.service_graph.kept_sides import NOBODY, KeptSides, Remembered
from spanmill.processors.service_graph.names import NO_NAME
from spanmill.processors.service_graph.ring import Records, Ring, chosen

CLIENT: Final = 1
"""Flags of records: the span is a client's or a producer's."""
MESSAGING: Final = 2
"""The span is a producer's or a consumer's."""
FAILED: Final = 4
"""The span's status is an error."""
CALLS_DATABASE: Final = 8
"""The client's span has attributes of databases."""
PRODUCER_ONLY: Final = 16
"""The end joins with a producer or not at all, and nobody misses it."""
PAIRED: Final = 32
"""The other side was found."""

SPAN: Final = np.dtype(
    [
        ("key", np.int64),
        ("arrival", np.int64),
        ("duration", np.uint64),
        ("weight", np.float64),
        ("service", np.int32),
        ("peer", np.int32),
        ("flags", np.uint8),
    ],
    align=True,
)
"""A span that is one side of a call: 48 bytes.

`key` is its own; `duration` in nanoseconds; `service` and `peer` are codes of names.
"""

END: Final = np.dtype(
    [
        ("key", np.int64),
        ("arrival", np.int64),
        ("duration", np.uint64),
        ("weight", np.float64),
        ("previous", np.int64),
        ("service", np.int32),
        ("flags", np.uint8),
    ],
    align=True,
)
"""The server's end of a call, which waits for the client's span: 48 bytes.

`key` is that of the client's span; `previous` is the number of the end that waited for the same
span before, NOBODY or that of one which is gone where there is none.
"""

_WORDS: Final = ("key", "arrival", "duration", "weight")

_ENTRY_BYTES: Final = 136
"""An entry of a dictionary that is two thirds full, and two integers of 32 bytes."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Requests between two services as `edges.Edges` has them, their names and types as codes."""

    client: npt.NDArray[np.int32]
    server: npt.NDArray[np.int32]
    connection_type: npt.NDArray[np.uint8]
    failed: npt.NDArray[np.bool_]
    client_ns: npt.NDArray[np.uint64]
    server_ns: npt.NDArray[np.uint64]
    client_known: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]


@dataclass(slots=True)
class Found:
    """What came out so far: pairs, and the sides that were given up by reason."""

    pairs: list[Pairs] = field(default_factory=list)
    unpaired: Counter[str] = field(default_factory=Counter)

    def edges(self) -> Edges | None:
        """All pairs as edges, in the order in which they came; None where there are none."""
        if not self.pairs:
            return None
        pairs = Pairs(
            *(np.concatenate([getattr(p, name.name) for p in self.pairs]) for name in fields(Pairs))
        )
        keys, first, inverse, counts = np.unique(
            edge_keys(pairs.client, pairs.server, pairs.connection_type),
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        order = np.argsort(first)
        numbers = np.empty(len(order), np.int64)
        numbers[order] = np.arange(len(order))
        return Edges(
            keys=keys[order],
            counts=counts[order],
            positions=numbers[inverse],
            failed=pairs.failed,
            client_ns=pairs.client_ns,
            server_ns=pairs.server_ns,
            client_known=pairs.client_known,
            weight=pairs.weight,
        )


class Pairing:
    """Remembers spans for `wait_ns` and joins each client with every server that names it.

    Two sides make an edge where the later arrives less than `wait_ns` after the earlier, in any
    order. A span is remembered, paired or not, for `wait_ns` after its arrival: a client so that
    further servers find it, every span so that it counts once however often it arrives. A client
    that no server came for becomes the edge to the peer that it names.

    At most `limit` spans and `limit` waiting ends are held after each call: the oldest are
    evicted; of evicted clients only those of databases become edges, whose servers send no spans.
    With the dictionary's entry and the room to grow each takes 230 bytes, so a server that waits
    takes 460.

    Source of the rules: docs/service-graph.md.
    """

    def __init__(self, wait_ns: int, limit: int) -> None:
        """`wait_ns` is at least 0."""
        if wait_ns < 0:
            raise ValueError("nobody waits for less than no time")
        self._wait_ns = wait_ns
        self._limit = limit
        self.spans = Ring(SPAN)
        self.ends = Ring(END)
        # Asked for an unknown key it gives the next number, in the order in which keys come.
        self._numbers: defaultdict[int, int] = defaultdict(count().__next__)
        self._last_waiting: dict[int, int] = {}

    @property
    def keys(self) -> tuple[int, int]:
        """How many keys are known, of spans and of ends that wait."""
        return len(self._numbers), len(self._last_waiting)

    @property
    def nbytes(self) -> int:
        """The memory of what is remembered, in bytes."""
        return self.spans.nbytes + self.ends.nbytes + _ENTRY_BYTES * sum(self.keys)

    def take(
        self, spans: Records, ends: Records, owner: npt.NDArray[np.int64], found: Found
    ) -> npt.NDArray[np.bool_]:
        """Take at most `limit` spans, with the ends that they have.

        `owner` is the index in `spans` of the span that each end belongs to. Returns which of
        the spans are new: bool (len(spans),).
        """
        numbers = _found(map(self._numbers.__getitem__, spans["key"].tolist()), len(spans))
        before = np.maximum.accumulate(np.concatenate(([self.spans.next - 1], numbers)))[:-1]
        new = numbers > before
        new_spans = spans if new.all() else chosen(spans, new)
        new_ends = ends if len(new_spans) == len(spans) else chosen(ends, new[owner])
        numbers = self.spans.append(new_spans)
        if self._last_waiting:
            clients = (new_spans["flags"] & CLIENT).nonzero()[0]
            self._join_waiting(chosen(new_spans, clients), numbers[clients], found)
        if len(new_ends):
            self._join_remembered(new_ends, found)
        self._release_ends(max(0, len(self.ends) - self._limit), EVICTED, found)
        self._release_spans(max(0, len(self.spans) - self._limit), EVICTED, found)
        return new

    def expire(self, now_ns: int, found: Found) -> None:
        """Give up what arrived `wait_ns` ago or before; `now_ns` is at least 0."""
        if now_ns < 0:
            raise ValueError("no time has passed")
        until = now_ns - self._wait_ns
        # Ends first: while their parents are remembered they can be told for what they are.
        self._release_ends(self.ends.arrived_until(until), NO_CLIENT, found)
        self._release_spans(self.spans.arrived_until(until), NO_SERVER, found)

    def names_in_use(self) -> npt.NDArray[np.int32]:
        """The codes of all names that are held, NO_NAME among them, some several times."""
        spans, ends = self.spans.all(), self.ends.all()
        return np.concatenate(
            (
                self.spans.field("service", spans),
                self.spans.field("peer", spans),
                self.ends.field("service", ends),
            )
        )

    def rename(self, renamed: npt.NDArray[np.int32]) -> None:
        """Replace each code of a name by `renamed[code]`."""
        for ring, name in ((self.spans, "service"), (self.spans, "peer"), (self.ends, "service")):
            numbers = ring.all()
            ring.set(name, numbers, renamed[ring.field(name, numbers)])

    def remember(self) -> Remembered:
        """A copy of all that is remembered."""
        spans, ends = self.spans.get(self.spans.all()), self.ends.get(self.ends.all())
        previous = ends["previous"]
        there = previous >= self.ends.first
        return Remembered(
            _kept(spans, spans["peer"]),
            _kept(ends, np.where(there, previous - self.ends.first, NOBODY)),
        )

    def restore(self, remembered: Remembered) -> None:
        """Remember this instead of nothing."""
        numbers = self.spans.append(_records(remembered.spans, SPAN, "peer"))
        self._numbers = defaultdict(count(self.spans.next).__next__)
        keys = remembered.spans.keys.tolist()
        self._numbers.update(zip(keys, numbers.tolist(), strict=True))
        ends = _records(remembered.ends, END, "previous")
        numbers = self.ends.append(ends)
        waiting = np.flatnonzero(ends["flags"] & PAIRED == 0)
        keys = ends["key"][waiting].tolist()
        self._last_waiting.update(zip(keys, numbers[waiting].tolist(), strict=True))

    def _join_waiting(self, clients: Records, numbers: npt.NDArray[np.int64], found: Found) -> None:
        """Join clients with the ends that waited for them."""
        waited = _found(
            map(self._last_waiting.pop, clients["key"].tolist(), repeat(NOBODY)), len(clients)
        )
        client = np.arange(len(clients))
        all_ends, all_clients = [], []
        # A round for each server of one client; each end is met once in its life.
        while len(client := client[waited >= self.ends.first]):
            waited = waited[waited >= self.ends.first]
            all_ends.append(waited)
            all_clients.append(client)
            waited = self.ends.field("previous", waited)
        if not all_ends:
            return
        end_numbers, owners = np.concatenate(all_ends), np.concatenate(all_clients)
        # Client by client, so that weights are added up in the order of the compiled pairing.
        order = np.argsort(owners, kind="stable")
        end_numbers, owners = end_numbers[order], owners[order]
        ends = self.ends.get(end_numbers)
        self.ends.set("flags", end_numbers, ends["flags"] | PAIRED)
        self._pair(chosen(clients, owners), numbers[owners], ends, found)

    def _join_remembered(self, ends: Records, found: Found) -> None:
        """Join ends with the clients that are there, and let the others wait."""
        numbers = _found(map(self._numbers.get, ends["key"].tolist(), repeat(NOBODY)), len(ends))
        there = numbers != NOBODY
        numbers = numbers[there]
        parents, joining = self.spans.get(numbers), chosen(ends, there)
        missed = (parents["flags"] & CLIENT == 0) & (joining["flags"] & PRODUCER_ONLY == 0)
        found.unpaired[NOT_A_CLIENT] += int(np.count_nonzero(missed))
        self._pair(parents, numbers, joining, found)
        waiting = chosen(ends, ~there)
        for begin in range(0, len(waiting), self._limit):
            self._let_wait(waiting[begin : begin + self._limit])
            self._release_ends(max(0, len(self.ends) - self._limit), EVICTED, found)

    def _pair(
        self,
        parents: Records,
        numbers: npt.NDArray[np.int64],
        ends: Records,
        found: Found,
    ) -> None:
        """Make edges of the parents, which have these numbers, and of the ends that fit them."""
        needed = np.where(ends["flags"] & PRODUCER_ONLY, CLIENT | MESSAGING, CLIENT)
        fit = (parents["flags"] & needed == needed).nonzero()[0]
        if not len(fit):
            return
        clients, ends, numbers = chosen(parents, fit), chosen(ends, fit), numbers[fit]
        self.spans.set("flags", numbers, clients["flags"] | PAIRED)
        flags = clients["flags"] | ends["flags"]
        kind = np.where(flags & MESSAGING, MESSAGING_SYSTEM, DIRECT)
        found.pairs.append(
            Pairs(
                client=clients["service"],
                server=ends["service"],
                connection_type=np.where(flags & CALLS_DATABASE, DATABASE, kind).astype(np.uint8),
                failed=flags & FAILED != 0,
                client_ns=clients["duration"],
                server_ns=ends["duration"],
                client_known=np.ones(len(clients), np.bool_),
                weight=np.maximum(clients["weight"], ends["weight"]),
            )
        )

    def _let_wait(self, ends: Records) -> None:
        keys = ends["key"]
        ends["previous"] = _found(
            map(self._last_waiting.get, keys.tolist(), repeat(NOBODY)), len(ends)
        )
        order = np.argsort(keys, kind="stable")
        again = np.flatnonzero(keys[order][1:] == keys[order][:-1])
        ends["previous"][order[again + 1]] = self.ends.next + order[again]
        numbers = self.ends.append(ends)
        self._last_waiting.update(zip(keys.tolist(), numbers.tolist(), strict=True))

    def _release_ends(self, many: int, reason: str, found: Found) -> None:
        if not many:
            return
        first = self.ends.first
        ends = self.ends.take(many)
        unpaired = np.flatnonzero(ends["flags"] & PAIRED == 0)
        keys = ends["key"][unpaired].tolist()
        last = _found(map(self._last_waiting.get, keys, repeat(NOBODY)), len(keys))
        _drop(self._last_waiting, ends["key"][unpaired][last == first + unpaired])
        missed = unpaired[ends["flags"][unpaired] & PRODUCER_ONLY == 0]
        found.unpaired[reason] += len(missed)
        if reason == NO_CLIENT:
            keys = ends["key"][missed].tolist()
            parents = _found(map(self._numbers.get, keys, repeat(NOBODY)), len(keys))
            known = int(np.count_nonzero(parents != NOBODY))
            found.unpaired[NO_CLIENT] -= known
            found.unpaired[NOT_A_CLIENT] += known

    def _release_spans(self, many: int, reason: str, found: Found) -> None:
        if not many:
            return
        spans = self.spans.take(many)
        _drop(self._numbers, spans["key"])
        clients = chosen(spans, spans["flags"] & (CLIENT | PAIRED) == CLIENT)
        virtual = clients["peer"] != NO_NAME
        if reason == EVICTED:
            # The server of another client may still come: then the edge would be a wrong one.
            virtual &= clients["flags"] & CALLS_DATABASE != 0
        found.unpaired[reason] += int(np.count_nonzero(~virtual))
        clients = chosen(clients, virtual)
        if not len(clients):
            return
        database = clients["flags"] & CALLS_DATABASE != 0
        found.pairs.append(
            Pairs(
                client=clients["service"],
                server=clients["peer"],
                connection_type=np.where(database, DATABASE, VIRTUAL_NODE).astype(np.uint8),
                failed=clients["flags"] & FAILED != 0,
                client_ns=clients["duration"],
                server_ns=clients["duration"],
                client_known=np.ones(len(clients), np.bool_),
                weight=clients["weight"],
            )
        )


def _kept(records: Records, other: npt.NDArray[np.int64]) -> KeptSides:
    kept = KeptSides.empty(len(records))
    for word, name in enumerate(_WORDS):
        kept.words[word].view(records.dtype[name])[:] = records[name]
    kept.others[:] = other
    kept.services[:], kept.flags[:] = records["service"], records["flags"]
    return kept


def _records(kept: KeptSides, dtype: np.dtype[np.void], other: str) -> Records:
    records: Records = np.zeros(len(kept), dtype)
    for word, name in enumerate(_WORDS):
        records[name] = kept.words[word].view(dtype[name])
    records[other] = kept.others
    records["service"], records["flags"] = kept.services, kept.flags
    return records


def _found(numbers: Iterable[int], many: int) -> npt.NDArray[np.int64]:
    return np.fromiter(numbers, np.int64, many)


def _drop(entries: dict[int, int], keys: npt.NDArray[np.int64]) -> None:
    """Remove these keys at the speed of C: a deque of no length runs an iterator out."""
    deque(map(entries.pop, keys.tolist()), maxlen=0)
