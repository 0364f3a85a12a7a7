"""Observations that may become exemplars, as records, and the order among them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.state_reader import StateReader

RECORD: Final = np.dtype(
    [
        ("rank", np.uint64),
        ("trace", np.uint64, 2),
        ("span", np.uint64),
        ("duration", np.uint64),  # nanoseconds
        ("time", np.int64),  # nanoseconds since the Unix epoch
        ("slot", np.int64),  # row and finest bucket
        ("owner", np.int16),  # the number of the histogram, from 1
    ]
)
"""One observation; ids are their bytes, read as numbers of this machine."""

Records = npt.NDArray[Any]  # numpy's types can't name the fields of a structured array
"""An array of RECORD, of shape (n,)."""

NO_OWNER: Final = 0
"""The owner of an entry that is free."""
NO_ENTRY: Final = 0
"""The entry of a place that has none: arrays of entries begin as zeros, which cost nothing."""

_OPAQUE: Final = np.dtype((np.void, RECORD.itemsize))
_SECOND_NS: Final = 1_000_000_000
_KEPT_SHIFT: Final = np.uint64(63)
_SECOND_SHIFT: Final = 30
_LATEST_SECOND: Final = 2**33 - 1
_SPREAD_SHIFT: Final = np.uint64(34)
# Odd numbers without a pattern, here the first digits of pi's, e's and the golden ratio's
# fractions: they spread ids that differ in a few bits only.
_TRACE_FACTORS: Final = np.array([0x243F6A8885A308D3, 0xB7E151628AED2A6B], np.uint64)
_SPREAD_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)


def ranks(
    kept: npt.NDArray[np.bool_],
    traces: npt.NDArray[np.uint64],
    spans: npt.NDArray[np.uint64],
    arrival_ns: int,
) -> npt.NDArray[np.uint64]:
    """What observations of one arrival are compared by first: uint64 (n,).

    From the highest bit: whether the trace is kept (1), the second of its arrival (33, up to
    the year 2242), a hash of trace and span id (30). Within a second the hash decides, so that a
    place, once its second's best is found, is left alone by nearly all that follow.
    """
    second = second_of(arrival_ns)
    spread: npt.NDArray[np.uint64] = (
        (traces[:, 0] * _TRACE_FACTORS[0]) ^ (traces[:, 1] * _TRACE_FACTORS[1]) ^ spans
    )
    spread *= _SPREAD_FACTOR
    spread >>= _SPREAD_SHIFT
    spread |= np.uint64(second << _SECOND_SHIFT)
    spread |= kept.astype(np.uint64) << _KEPT_SHIFT
    return spread


def second_of(arrival_ns: int) -> int:
    """The second of an arrival, as ranks have it."""
    return min(max(arrival_ns // _SECOND_NS, 0), _LATEST_SECOND)


def chosen(records: Records, which: npt.NDArray[np.bool_]) -> Records:
    """A copy of some records; ten times as fast as indexing, which copies field by field."""
    copied: Records = records.take(np.flatnonzero(which))
    return copied


def put(into: Records, entries: npt.NDArray[np.integer], records: Records) -> None:
    """Replace the records at these entries, as fast."""
    into.view(_OPAQUE)[entries] = records.view(_OPAQUE)


def as_bytes(records: Records) -> npt.NDArray[np.uint8]:
    """The same memory as uint8 (n, bytes of a record)."""
    return records.view(np.uint8).reshape(len(records), RECORD.itemsize)


def best_by_slot(records: Records) -> Records:
    """The highest record of each slot, in the order of slots."""
    rank, slot = records["rank"], records["slot"]
    order = np.lexsort((rank, slot))
    sorted_slots, sorted_ranks = slot[order], rank[order]
    same = sorted_slots[1:] == sorted_slots[:-1]
    if (same & (sorted_ranks[1:] == sorted_ranks[:-1])).any():
        order = np.lexsort((*_keys(records), slot))
    best: Records = records.take(order[np.append(~same, True)])
    return best


def exceeds(challengers: Records, holders: Records) -> npt.NDArray[np.bool_]:
    """Which records are higher than those beside them: bool (n,)."""
    higher: npt.NDArray[np.bool_] = challengers["rank"] > holders["rank"]
    for i in np.flatnonzero(challengers["rank"] == holders["rank"]).tolist():
        pair = np.stack((holders[i], challengers[i]))
        keys = _keys(pair)
        higher[i] = np.lexsort(keys)[-1] == 1 and any(key[0] != key[1] for key in keys)
    return higher


def lowest(records: Records, entries: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """The `count` lowest of the records at these entries, 0 < count <= n: int64 (count,)."""
    rank = records["rank"][entries]
    border = np.partition(rank, count - 1)[count - 1]
    below = entries[rank < border]
    tied = entries[rank == border]
    tied = tied[np.lexsort(_keys(records[tied]))]
    return np.concatenate((below, tied[: count - len(below)]))


def kept_records(records: Records) -> State:
    """Records as a kept state: an array for each field."""
    return {name: np.ascontiguousarray(records[name]) for name in RECORD.names or ()}


def read_records(state: StateReader, n: int) -> Records:
    """So many records; raises CheckpointError where a field hasn't so many values."""
    records = np.zeros(n, RECORD)
    for name in RECORD.names or ():
        column = records[name]
        column[:] = state.array(name, column.dtype.type, column.shape)
    return records


def _keys(records: Records) -> tuple[npt.NDArray[Any], ...]:
    """Everything that tells observations apart, the most significant last, as lexsort wants it.

    What stands in one slot of one histogram is compared; across slots the slot comes last of
    all, then the histogram.
    """
    trace = records["trace"]
    return (
        records["owner"],
        records["slot"],
        records["time"],
        records["duration"],
        records["span"],
        trace[:, 1],
        trace[:, 0],
        records["rank"],
    )
