"""Who keeps a series when there are more label sets than may have one: the busiest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.busiest import Busiest
from spanmill.series.demand import Demand, DemandWindow, Own
from spanmill.series.foremost import foremost, ranks_of
from spanmill.series.kept_labels import kept_keys, read_labels
from spanmill.series.label_hashes import LabelHasher, RowHashes
from spanmill.series.snapshot import LabelValues
from spanmill.series.state_reader import StateReader

HALF_LIVES: Final = 3
"""The idle timeout in half-lives of traffic: one span is forgotten when its series would be."""
PATIENCE: Final = 1 / 30
"""How long a label set must be clearly busier before it is promoted, in idle timeouts."""
EXCHANGED_SHARE: Final = 1 / 50
"""At most so many of the limit are exchanged at a tick (and one, if that is less)."""
MOST_EXCHANGED: Final = 500
MOST_PROMOTED: Final = 500
"""At most so many get another's row, or a free one, at a tick: it must take few milliseconds."""

_RATIO: Final = 1.5
_DEVIATIONS: Final = 3.0
_FEWEST: Final = 64
_MOST: Final = 32_768
_LOOKAHEAD: Final = 4
_LOOKED_AT: Final = 16_384
_HASHED: Final = 2_048
_BEFORE: Final = -1
_NEVER: Final = -2


def clearly_busier(
    challengers: npt.NDArray[np.float64], holders: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Where the traffic of one of two is certainly more than the other's: bool (n,).

    At least 1.5 times as much, and by three standard deviations of the difference of two
    Poisson counts: neither equals nor rare ones take turns by chance.
    """
    margin = _DEVIATIONS * np.sqrt(challengers + holders)
    busier: npt.NDArray[np.bool_] = (challengers >= _RATIO * holders) & (
        challengers - holders >= margin
    )
    return busier & (challengers > 0)


@dataclass(frozen=True, slots=True)
class Holders:
    """Who has a row now: n of them, their rows int64 (n,), ascending, and traffic float64 (n,).

    `labels` gives the label sets of rows.
    """

    labels: Callable[[npt.NDArray[np.int64]], list[LabelValues]]
    rows: npt.NDArray[np.int64]
    traffic: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exchange:
    """The rows that lose their series, int64 (m,), and who gets one; there is room for all."""

    demoted: npt.NDArray[np.int64]
    promoted: list[LabelValues]


class Tail:
    """The label sets that found no room: how many, and which are busy enough to get one.

    Traffic is spans, of which half is forgotten in a third of the idle timeout; both sides are
    counted alike. At a tick, free rows go to the busiest of the tail. Beyond that the busiest
    of the tail is set against the least busy row, the second against the second least, and so
    on; who has been clearly busier for a thirtieth of the idle timeout, and came since the last
    tick, takes the row.

    A tick does a bounded piece of work: at most MOST_PROMOTED get a free row and MOST_EXCHANGED
    another's, and at most so many rows are looked at for the demand. Equal traffic is told apart
    by hash, so that the order doesn't depend on when they came; rows that the demand hasn't come
    to yet come first among equals.

    Memory: as many label sets as the limit (at least 64, at most 32,768), twice that between
    prunings, at about 400 bytes and their texts; 60 bytes a row; and DemandWindow's.
    """

    def __init__(
        self, names: tuple[str, ...], limit: int, idle_timeout_ns: int, row_hashes: RowHashes
    ) -> None:
        self._hasher = LabelHasher(len(names))
        self._busiest = Busiest(min(max(limit, _FEWEST), _MOST))
        self._hashes = np.zeros((self._busiest.size, 1 + len(names)), np.uint64)
        # The window's slot in which each was added to the demand last.
        self._noted = np.full(self._busiest.size, _NEVER)
        self._rows = _RowRounds(self._hasher, row_hashes)
        self._row_hashes = row_hashes
        self._window = DemandWindow(names, idle_timeout_ns)
        self._most_exchanged = min(max(1, int(limit * EXCHANGED_SHARE)), MOST_EXCHANGED)
        self._patience_ns = int(idle_timeout_ns * PATIENCE)
        self._leading_since: dict[LabelValues, int] = {}
        self.demand: Demand | None = None
        """As of the last tick."""

    def add(self, keys: Sequence[LabelValues], counts: npt.NDArray[np.int64]) -> None:
        """Note label sets that found no room, each with its spans (n,)."""
        slot = self._window.slot if self._window.slot is not None else _BEFORE
        for begin, slots, new in self._busiest.add(keys, counts):
            self._take_hashes(keys, begin, slots, new)
            unnoted = np.flatnonzero(self._noted[slots] != slot)
            self._noted[slots] = slot
            if len(unnoted):
                asking = [keys[begin + i] for i in unnoted.tolist()]
                self._window.add(asking, self._hashes[slots[unnoted]])

    def put(self, keys: Sequence[LabelValues], traffic: npt.NDArray[np.float64]) -> None:
        """Note label sets that lost their rows, with their traffic (n,) so far."""
        for begin, slots, new in self._busiest.put(keys, traffic):
            self._take_hashes(keys, begin, slots, new)

    def admitted(self, key: LabelValues) -> float:
        """Forget a label set that got a row; returns its traffic so far."""
        return self._busiest.discard(key)

    def tick(self, now_ns: int, decay: float, holders: Holders, room: int) -> Exchange:
        """Decide who gets a row.

        `decay` is how much is left of older traffic, `room` how many rows are free.
        """
        self._window.advance(now_ns, decay)
        came = self._busiest.decay(decay)
        self.demand = self._window.report(self._rows.next(holders))
        promoted = self._foremost(came, min(room, MOST_PROMOTED))
        waiting = np.zeros(self._busiest.size, np.bool_)
        waiting[self._busiest.slots()] = True
        waiting[promoted] = False
        rest = np.flatnonzero(waiting)
        pairs = min(_LOOKAHEAD * self._most_exchanged, len(rest), len(holders.rows))
        order = self._foremost(rest, pairs)
        rows = holders.rows
        least = foremost(
            ~ranks_of(holders.traffic), lambda i: self._row_hashes.of_label_sets(rows[i]), pairs
        )
        waiting[:] = False
        waiting[came] = True
        active = waiting[order]
        exchanged = self._exchanged(now_ns, order, active, holders.traffic[least])
        return Exchange(
            demoted=rows[least[: len(exchanged)]],
            promoted=[self._busiest.key(slot) for slot in [*promoted.tolist(), *exchanged]],
        )

    def hashes(self, keys: Sequence[LabelValues]) -> npt.NDArray[np.uint64]:
        """The hashes of label sets and of their values."""
        return self._hasher.hashes(keys)

    def kept(self) -> State:
        """A copy of all of it, but for the hashes, which are made anew."""
        leading = list(self._leading_since)
        labels = len(self._window.names)
        return {
            "busiest": self._busiest.kept(labels),
            "noted": self._noted.copy(),
            "rounds": self._rows.kept(),
            "window": self._window.kept(),
            "leading": kept_keys(leading, labels),
            "leading_since": np.array(list(self._leading_since.values()), np.int64),
            "demand": msgspec.to_builtins(self.demand),
        }

    def read(self, state: StateReader) -> None:
        """Take over what was kept, where nothing is known yet.

        Raises CheckpointError where it doesn't fit.
        """
        labels = len(self._window.names)
        keys = self._busiest.read(state.part("busiest"), labels)
        if keys:
            self._hashes[self._busiest.slots()] = self._hasher.hashes(keys)
        self._noted = state.array("noted", np.int64, self._noted.shape).copy()
        self._rows.read(state.part("rounds"))
        self._window.read(state.part("window"))
        leading = read_labels(state.part("leading"), labels)
        since = state.array("leading_since", np.int64, (len(leading),)).tolist()
        self._leading_since = dict(zip(leading, since, strict=True))
        try:
            self.demand = msgspec.convert(state.value("demand"), Demand | None)
        except msgspec.ValidationError as error:
            raise state.error(f"the demand is damaged: {error}") from error

    def _exchanged(
        self,
        now_ns: int,
        order: npt.NDArray[np.int64],
        active: npt.NDArray[np.bool_],
        least: npt.NDArray[np.float64],
    ) -> list[int]:
        """The slots, of `order`, that take a row from the least busy.

        Their traffic is `least`, ascending; both are (n,).
        """
        ahead = clearly_busier(self._busiest.counts(order), least)
        leading = order[np.logical_and.accumulate(ahead)].tolist()
        before = self._leading_since
        since = {
            key: min(before.get(key, now_ns), now_ns) for key in map(self._busiest.key, leading)
        }
        self._leading_since = since
        due = [
            slot
            for slot, comes in zip(leading, active.tolist(), strict=False)  # the first of them
            if comes and now_ns - since[self._busiest.key(slot)] >= self._patience_ns
        ]
        return due[: self._most_exchanged]

    def _foremost(self, slots: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
        """The busiest of some slots, in order."""
        ranks = ranks_of(self._busiest.counts(slots))
        return slots[foremost(ranks, lambda i: self._hashes[slots[i], 0], most)]

    def _take_hashes(
        self,
        keys: Sequence[LabelValues],
        begin: int,
        slots: npt.NDArray[np.int64],
        new: npt.NDArray[np.int64],
    ) -> None:
        if len(new):
            hashes = self._hasher.hashes([keys[begin + i] for i in new.tolist()])
            self._hashes[slots[new]] = hashes
            self._noted[slots[new]] = _NEVER


class _RowRounds:
    """Looks at the rows in rounds, a part at a time, in ascending order."""

    def __init__(self, hasher: LabelHasher, row_hashes: RowHashes) -> None:
        self._hasher = hasher
        self._row_hashes = row_hashes
        self._next = 0
        self._seen = 0
        self._is_first = True

    def kept(self) -> State:
        """Where the rounds are."""
        return {"next": self._next, "seen": self._seen, "is_first": self._is_first}

    def read(self, state: StateReader) -> None:
        """Go on from there."""
        self._next, self._seen = state.integer("next"), state.integer("seen")
        self._is_first = state.flag("is_first")

    def next(self, holders: Holders) -> Own:
        """The next part: at most so many rows, and fewer where their hashes aren't known."""
        begin = int(np.searchsorted(holders.rows, self._next))
        rows = holders.rows[begin : begin + _LOOKED_AT]
        unknown = np.flatnonzero(self._row_hashes.of_label_sets(rows) == 0)
        if len(unknown) > _HASHED:
            rows = rows[: unknown[_HASHED]]
            unknown = unknown[:_HASHED]
        if len(unknown):
            hashes = self._hasher.hashes(holders.labels(rows[unknown]))
            self._row_hashes.put(rows[unknown], hashes)
        last = begin + len(rows) == len(holders.rows)
        self._next = 0 if last else int(rows[-1]) + 1
        self._seen += len(rows)
        self._is_first &= not last
        seen = min(self._seen, len(holders.rows)) if self._is_first else len(holders.rows)
        return Own(self._row_hashes.at(rows), last, len(holders.rows), seen)
