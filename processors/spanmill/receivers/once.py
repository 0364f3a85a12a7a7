"""Requests that come again: each is taken once, however often its client sends it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import xxhash

from spanmill.errors import CheckpointError
from spanmill.journal.log import KEY_BYTES, Signal
from spanmill.journal.state import State

_STATE_FORM: Final = 1


@dataclass(frozen=True, slots=True)
class Known:
    """What was said of a request that was taken.

    `items` counts all that it had, the rejected among them; `rejected` is by reason; `warnings`
    are what its client was told besides, known in the process that took it, and after a restart
    from a checkpoint.
    """

    items: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()


@dataclass(slots=True)
class _Pending:
    """A request that is being taken; the future is there for those who wait for its outcome."""

    warnings: Sequence[str] = ()
    outcome: Future[Known | None] | None = None


class Once:
    """The requests that were taken within a window, and those that are being taken now.

    A request is what XXH3 (128 bits, seeded with the journal's own seed) makes of its signal, its
    client's identity and its inflated bytes in protobuf. Two unlike requests of one client share
    a key with a chance of about n² / 2¹²⁹ for n requests; a client that seeks such a pair loses
    its own data alone.

    `applied` is called for every record, in the journal's order, when it is applied and when it
    is replayed; what is known then depends on the records alone. The others may be called from
    any thread. Memory: up to 254 bytes a request that was taken whole (`max_requests` of them at
    the most, and none that is older than the window once the next is applied), 574 where a part
    of it was rejected; and one entry for each request that is being taken.
    """

    def __init__(self, window_ns: int, max_requests: int, seed: bytes) -> None:
        self._window_ns = window_ns
        self._max_requests = max_requests
        self._seed = seed
        self._lock = threading.Lock()
        self._pending: dict[bytes, _Pending] = {}
        # By key, in the order of arrival; the arrivals stand beside, and so does what is rare.
        self._items: dict[bytes, int] = {}
        self._order: deque[bytes] = deque()
        self._arrivals: deque[int] = deque()
        self._told: dict[bytes, Known] = {}

    def __len__(self) -> int:
        """How many requests are known."""
        return len(self._items)

    def reseed(self, seed: bytes) -> None:
        """Take the journal's seed, before anything is claimed, restored or replayed."""
        assert not self._items, "keys of another seed are known"
        self._seed = seed

    def key(self, signal: Signal, client: str, body: bytes) -> bytes:
        """What the request has in common with each time it is sent again; KEY_BYTES long."""
        of_client = b"\0".join((self._seed, signal.value.encode(), client.encode()))
        return xxhash.xxh3_128_digest(body, seed=xxhash.xxh3_64_intdigest(of_client))

    def claim(self, key: bytes) -> Known | Future[Known | None] | None:
        """What is known of this request, or will be; None: the caller takes it now.

        Who takes it calls `ended`, whatever happens. The future has None where the request failed
        that was being taken; it can't be cancelled, and raises nothing.
        """
        with self._lock:
            items = self._items.get(key)
            if items is not None:
                return self._told.get(key) or Known(items)
            pending = self._pending.get(key)
            if pending is None:
                self._pending[key] = _Pending()
                return None
            if pending.outcome is None:
                pending.outcome = Future()
                pending.outcome.set_running_or_notify_cancel()
            return pending.outcome

    def warn(self, key: bytes, warnings: Sequence[str]) -> None:
        """Remember what the client of a request that is being taken is told besides."""
        with self._lock:
            self._pending[key].warnings = warnings

    def ended(self, key: bytes, known: Known | None) -> None:
        """The request was taken, or (None) wasn't: those who wait for it are told."""
        with self._lock:
            pending = self._pending.pop(key)
        if pending.outcome is not None:
            pending.outcome.set_result(known)

    def applied(self, key: bytes, items: int, rejected: Mapping[str, int], arrival_ns: int) -> None:
        """A record of the journal is applied: `items` were taken, `rejected` were not."""
        if not key:
            return
        with self._lock:
            pending = self._pending.get(key)
            warnings = pending.warnings if pending is not None else ()
            self._forget(arrival_ns)
            if key in self._items:
                return  # it had been forgotten when it came again, under smaller settings
            total = items + sum(rejected.values())
            self._items[key] = total
            self._order.append(key)
            self._arrivals.append(arrival_ns)
            if rejected or warnings:
                self._told[key] = Known(total, dict(rejected), tuple(warnings))

    def state(self) -> State:
        """The known requests, for a checkpoint."""
        with self._lock:
            told = dict(self._told)
            return {
                "form": _STATE_FORM,
                "seed": self._seed,
                "keys": b"".join(self._order),
                "items": np.fromiter(self._items.values(), np.int64, len(self._items)),
                "arrivals": np.fromiter(self._arrivals, np.int64, len(self._arrivals)),
                "told": lambda: [
                    [key, known.items, known.rejected, known.warnings]
                    for key, known in told.items()
                ],
            }

    def restore(self, state: State) -> None:
        """Take over the known requests; raises CheckpointError where the seed is another one.

        Other settings are no obstacle: what they would have forgotten is forgotten with the next
        record.
        """
        if state.get("form") != _STATE_FORM:
            raise CheckpointError("the known requests were written by another version")
        if state.get("seed") != self._seed:
            raise CheckpointError("the known requests are those of another journal")
        try:
            joined = bytes(state["keys"])
            keys = [joined[at : at + KEY_BYTES] for at in range(0, len(joined), KEY_BYTES)]
            items = [int(count) for count in state["items"]]
            arrivals = [int(arrival) for arrival in state["arrivals"]]
            known = dict(zip(keys, items, strict=True))
            told = {
                bytes(key): Known(
                    int(total),
                    {str(reason): int(count) for reason, count in rejected.items()},
                    tuple(str(warning) for warning in warnings),
                )
                for key, total, rejected, warnings in state["told"]
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"the known requests are damaged: {error!r}") from error
        fit = len(known) == len(keys) == len(arrivals) and len(joined) == len(keys) * KEY_BYTES
        if not fit or not told.keys() <= known.keys():
            raise CheckpointError("the known requests are damaged: their parts don't fit")
        with self._lock:
            self._items, self._told = known, told
            self._order, self._arrivals = deque(keys), deque(arrivals)

    def _forget(self, now_ns: int) -> None:
        """Drop what is older than the window, and the oldest where there are too many."""
        oldest_ns = now_ns - self._window_ns
        while self._arrivals and (
            self._arrivals[0] < oldest_ns or len(self._arrivals) >= self._max_requests
        ):
            self._arrivals.popleft()
            key = self._order.popleft()
            del self._items[key]
            self._told.pop(key, None)
