"""A batch's client and server sides, as the records that are paired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.processors.service_graph.keys import span_keys, trace_hashes
from spanmill.processors.service_graph.names import NO_NAME, Names
from spanmill.processors.service_graph.pairing import (
    CALLS_DATABASE,
    CLIENT,
    END,
    FAILED,
    MESSAGING,
    PRODUCER_ONLY,
    SPAN,
)
from spanmill.processors.service_graph.peers import calls_database, peer_names
from spanmill.processors.service_graph.ring import Records, chosen
from spanmill.series.targets import Target, Targets
from spanmill.spans.batch import SPAN_KINDS, STATUS_CODES, SpanBatch
from spanmill.spans.links import span_links

MAX_LINKS: Final = 128
"""Links of one consumer that can become edges: the default limit of OpenTelemetry's SDKs."""

_SERVER: Final = SPAN_KINDS.index("SPAN_KIND_SERVER")
_CLIENT: Final = SPAN_KINDS.index("SPAN_KIND_CLIENT")
_PRODUCER: Final = SPAN_KINDS.index("SPAN_KIND_PRODUCER")
_CONSUMER: Final = SPAN_KINDS.index("SPAN_KIND_CONSUMER")

_FLAGS: Final = np.zeros(len(SPAN_KINDS), np.uint8)
_FLAGS[_CLIENT] = CLIENT
_FLAGS[_PRODUCER] = CLIENT | MESSAGING
_FLAGS[_CONSUMER] = MESSAGING

_IS_SERVED: Final = np.zeros(len(SPAN_KINDS), np.bool_)
_IS_SERVED[[_SERVER, _CONSUMER]] = True

_IS_SIDE: Final = np.zeros(len(SPAN_KINDS), np.bool_)
_IS_SIDE[[_SERVER, _CLIENT, _PRODUCER, _CONSUMER]] = True

_FAILED: Final = np.zeros(len(STATUS_CODES), np.uint8)
_FAILED[STATUS_CODES.index("STATUS_CODE_ERROR")] = FAILED


@dataclass(frozen=True, slots=True)
class Sides:
    """Some spans of a batch that are sides of calls.

    - `spans`: SPAN (n,); `ends`: END (m,), those of servers and consumers that name a client.
    - `owner`: int64 (m,), the index in `spans` of the span that each end belongs to.
    - `roots`: bool (n,), servers and consumers that name nobody.
    - `links_left_out`: links beyond MAX_LINKS.
    """

    spans: Records
    ends: Records
    owner: npt.NDArray[np.int64]
    roots: npt.NDArray[np.bool_]
    links_left_out: int


def rows_of_sides(batch: SpanBatch) -> npt.NDArray[np.int64]:
    """The rows whose kind makes them a side of a call."""
    return _IS_SIDE[batch.kind].nonzero()[0]


def service_codes(
    batch: SpanBatch, targets: Targets[Target], names: Names
) -> npt.NDArray[np.int32]:
    """The code of the service of each of the batch's resources."""
    resources = batch.resource.values
    return np.array([names.code(targets.of(resource).service) for resource in resources], np.int32)


def sides_of(
    batch: SpanBatch,
    rows: npt.NDArray[np.int64],
    services: npt.NDArray[np.int32],
    peer_attributes: tuple[str, ...],
    names: Names,
    *,
    now_ns: int,
) -> Sides:
    """The sides that these rows are, which arrive now.

    `services` has the code of each resource's service.
    """
    kind = batch.kind[rows]
    served = _IS_SERVED[kind].nonzero()[0]
    parent_ids = batch.parent_id[rows[served]]
    has_parent = parent_ids.any(axis=1)
    with_parent = served[has_parent]
    trace_hash = trace_hashes(batch.trace_id[rows])
    keys = span_keys(
        np.concatenate((trace_hash, trace_hash[with_parent])),
        np.concatenate((batch.span_id[rows], parent_ids[has_parent])),
    )
    spans: Records = np.zeros(len(rows), SPAN)
    spans["key"] = keys[: len(rows)]
    spans["arrival"] = now_ns
    spans["duration"] = batch.duration[rows]
    spans["weight"] = batch.weight[rows]
    spans["service"] = services[batch.resource.codes[rows]]
    spans["peer"] = NO_NAME
    flags = _FLAGS[kind] | _FAILED[batch.status[rows]]

    linked = Links.of(batch, rows)
    linked_owner = np.searchsorted(rows, linked.rows)
    owner = np.concatenate((with_parent, linked_owner))
    roots = _IS_SERVED[kind]
    roots[owner] = False
    named = ((flags & CLIENT).astype(np.bool_) | (roots & (kind == _CONSUMER))).nonzero()[0]
    spans["peer"][named] = peer_names(batch, rows[named], peer_attributes, names.code)
    clients = (flags & CLIENT).nonzero()[0]
    flags[clients[calls_database(batch, rows[clients])]] |= CALLS_DATABASE
    spans["flags"] = flags

    ends: Records = np.zeros(len(owner), END)
    ends["key"] = np.concatenate((keys[len(rows) :], linked.keys))
    owners = chosen(spans, owner)
    for name in ("arrival", "duration", "weight", "service", "flags"):
        ends[name] = owners[name]
    if len(linked_owner):
        ends, owner = _without_repeats(ends, owner, len(with_parent), linked_owner)
    return Sides(spans, ends, owner, roots, linked.left_out)


@dataclass(frozen=True, slots=True)
class Links:
    """The links of a batch's consumers, one row for each.

    `rows`: int64 (l,), the row of the batch that each belongs to, ascending; `keys`: int64 (l,),
    those of the spans that they point to; `left_out`: links beyond MAX_LINKS.
    """

    rows: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    left_out: int = 0

    @classmethod
    def of(cls, batch: SpanBatch, among: npt.NDArray[np.int64] | None = None) -> Links:
        """Those of all consumers, or of the consumers among these rows."""
        rows: list[int] = []
        trace_ids: list[bytes] = []
        span_ids: list[bytes] = []
        left_out = 0
        links_there = batch.kind == _CONSUMER
        if batch.linked is not None:
            links_there &= batch.linked
        consumers = links_there.nonzero()[0] if among is None else among[links_there[among]]
        if not len(consumers):
            return _NO_LINKS
        links_of_rows = span_links(batch, consumers.tolist())
        for consumer, links in zip(consumers.tolist(), links_of_rows, strict=True):
            distinct = list(dict.fromkeys(links))
            left_out += max(0, len(distinct) - MAX_LINKS)
            for trace_id, span_id in distinct[:MAX_LINKS]:
                rows.append(consumer)
                trace_ids.append(trace_id)
                span_ids.append(span_id)
        keys = span_keys(trace_hashes(_ids(trace_ids, 16)), _ids(span_ids, 8))
        return cls(np.array(rows, np.int64), keys, left_out)


_NO_LINKS: Final = Links(np.zeros(0, np.int64), np.zeros(0, np.int64))


def _ids(ids: list[bytes], width: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(ids), np.uint8).reshape(-1, width)


def _without_repeats(
    ends: Records,
    owner: npt.NDArray[np.int64],
    parents: int,
    linked: npt.NDArray[np.int64],
) -> tuple[Records, npt.NDArray[np.int64]]:
    """Leave out parents that are linked too; those of linked spans join with producers only.

    A consumer with links says by them whose messages it has. Its parent can be the producer as
    well, but mostly is what its own service does around it. The first `parents` ends are parents.
    """
    by_link = set(zip(owner[parents:].tolist(), ends["key"][parents:].tolist(), strict=True))
    by_parent = zip(owner[:parents].tolist(), ends["key"][:parents].tolist(), strict=True)
    kept = np.ones(len(ends), np.bool_)
    kept[:parents] = [end not in by_link for end in by_parent]
    ends["flags"][:parents][np.isin(owner[:parents], linked)] |= PRODUCER_ONLY
    return chosen(ends, kept), owner[kept]
