"""Who keeps a series when there are more label sets than may have one: the busiest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.series.busiest import Busiest
from spanmill.series.demand import Demand, DemandWindow
from spanmill.series.label_hashes import LabelHasher, RowHashes
from spanmill.series.snapshot import LabelValues

HALF_LIVES: Final = 3
"""The idle timeout in half-lives of traffic: one span is forgotten when its series would be."""
PATIENCE: Final = 1 / 30
"""How long a label set must be clearly busier before it is promoted, in idle timeouts."""
EXCHANGED_SHARE: Final = 1 / 50
"""At most so many of the limit are exchanged at a tick (and one, if that is less)."""

_RATIO: Final = 1.5
_DEVIATIONS: Final = 3.0
_FEWEST: Final = 64
_MOST: Final = 65_536
_LOOKAHEAD: Final = 4


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
    """Who has a row now: n label sets, their rows int64 (n,) and their traffic float64 (n,)."""

    labels: Sequence[LabelValues]
    rows: npt.NDArray[np.int64]
    traffic: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exchange:
    """The rows that lose their series, and who gets one; there is room for all of them then."""

    demoted: list[int]
    promoted: list[LabelValues]


class Tail:
    """The label sets that found no room: how many, and which are busy enough to get one.

    Traffic is spans, of which half is forgotten in a third of the idle timeout; both sides are
    counted alike. At a tick, free rows go to the busiest of the tail. Beyond that the busiest
    of the tail is set against the least busy row, the second against the second least, and so
    on; who has been clearly busier for a thirtieth of the idle timeout, and came since the last
    tick, takes the row.

    Memory: as many label sets as the limit (at least 64, at most 65,536), twice that between
    prunings, at about 400 bytes and their texts; 60 bytes a row; and DemandWindow's.
    """

    def __init__(
        self, names: tuple[str, ...], limit: int, idle_timeout_ns: int, row_hashes: RowHashes
    ) -> None:
        self._hasher = LabelHasher(len(names))
        self._busiest = Busiest(min(max(limit, _FEWEST), _MOST))
        self._hashes = np.zeros((self._busiest.size, 1 + len(names)), np.uint64)
        self._row_hashes = row_hashes
        self._window = DemandWindow(names, idle_timeout_ns)
        self._most_exchanged = max(1, int(limit * EXCHANGED_SHARE))
        self._patience_ns = int(idle_timeout_ns * PATIENCE)
        self._leading_since: dict[LabelValues, int] = {}
        self.demand: Demand | None = None
        """As of the last tick."""

    def add(self, keys: Sequence[LabelValues], counts: npt.NDArray[np.int64]) -> None:
        """Note label sets that found no room, each with its spans (n,)."""
        for slots, positions in self._busiest.add(keys, counts):
            new = [keys[i] for i in positions.tolist()]
            hashes = self._hasher.hashes(new)
            self._hashes[slots] = hashes
            self._window.add(new, hashes)

    def put(self, key: LabelValues, traffic: float) -> None:
        """Note a label set that lost its row, with its traffic so far."""
        slots, _ = self._busiest.put(key, traffic)
        self._hashes[slots] = self._hasher.hashes([key])

    def admitted(self, key: LabelValues) -> float:
        """Forget a label set that got a row; returns its traffic so far."""
        return self._busiest.discard(key)

    def tick(self, now_ns: int, decay: float, holders: Holders, room: int) -> Exchange:
        """Decide who gets a row.

        `decay` is how much is left of older traffic, `room` how many rows are free.
        """
        own = self._own_hashes(holders)
        self._window.advance(now_ns, decay)
        came = self._busiest.decay(decay)
        came = came[self._busiest.counts(came) > 0]
        self._window.add([self._busiest.key(slot) for slot in came.tolist()], self._hashes[came])
        self.demand = self._window.report(own)
        order = self._order(self._busiest.slots())
        active = np.isin(order, came)
        promoted = order[active][:room] if room > 0 else order[:0]
        rest = ~np.isin(order, promoted)
        # Equal traffic is told apart by hash: the order doesn't depend on when they came.
        least = np.lexsort((own[:, 0], holders.traffic))
        exchanged = self._exchanged(now_ns, order[rest], active[rest], holders.traffic[least])
        return Exchange(
            demoted=holders.rows[least[: len(exchanged)]].tolist(),
            promoted=[self._busiest.key(slot) for slot in [*promoted.tolist(), *exchanged]],
        )

    def _exchanged(
        self,
        now_ns: int,
        order: npt.NDArray[np.int64],
        active: npt.NDArray[np.bool_],
        least: npt.NDArray[np.float64],
    ) -> list[int]:
        """The slots that take a row from the least busy, whose traffic is `least`, ascending."""
        pairs = min(_LOOKAHEAD * self._most_exchanged, len(order), len(least))
        ahead = clearly_busier(self._busiest.counts(order[:pairs]), least[:pairs])
        leading = order[:pairs][np.logical_and.accumulate(ahead)].tolist()
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

    def _order(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Slots, the busiest first."""
        return slots[np.lexsort((self._hashes[slots, 0], -self._busiest.counts(slots)))]

    def _own_hashes(self, holders: Holders) -> npt.NDArray[np.uint64]:
        rows = holders.rows
        wanted = np.flatnonzero(~self._row_hashes.known(rows))
        if len(wanted):
            labels = [holders.labels[i] for i in wanted.tolist()]
            self._row_hashes.put(rows[wanted], self._hasher.hashes(labels))
        return self._row_hashes.at(rows)
