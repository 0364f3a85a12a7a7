"""The metrics of what is kept on disk: the journal, and the checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from spanmill.clock import Clock
from spanmill.series.registry import Registry

_SECOND: Final = 1_000_000_000
_US: Final = 1_000
_SYNC_BOUNDS_NS: Final = [
    _US * us
    for us in (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000)
]


class WatchedJournal(Protocol):
    """What a journal on disk tells of itself; read at each snapshot, so it must be short."""

    @property
    def bytes_on_disk(self) -> int:
        """What its files take."""
        ...

    @property
    def oldest_arrival_ns(self) -> int | None:
        """When the oldest record arrived that is still there; None where there is none."""
        ...

    @property
    def refusal(self) -> str | None:
        """Why nothing is taken now; None while everything is."""
        ...

    @property
    def damaged_records(self) -> int:
        """How many damaged records were passed over."""
        ...


class WatchedCheckpoint(Protocol):
    """The newest checkpoint: when it was written, its size, and what it took."""

    @property
    def time_ns(self) -> int:
        """When, nanoseconds since the Unix epoch."""
        ...

    @property
    def size(self) -> int:
        """Its bytes."""
        ...

    @property
    def seconds(self) -> float:
        """How long it took."""
        ...

    @property
    def held_seconds(self) -> float:
        """How long nothing could be received meanwhile."""
        ...


def declare_syncs(registry: Registry) -> Callable[[int], None]:
    """Show how long the disk takes; returns what is told each sync's duration, in ns."""
    return registry.histogram(
        "spanmill_journal_sync_duration_seconds",
        "Time in which the disk confirmed a group of records, before their answers.",
        _SYNC_BOUNDS_NS,
    ).observe_one


def declare_journal(
    registry: Registry,
    clock: Clock,
    journal: WatchedJournal,
    checkpoint: Callable[[], WatchedCheckpoint | None],
) -> None:
    """Show the journal and its newest checkpoint, which is None while there is none."""
    size = registry.gauge("spanmill_journal_bytes", "What the journal's files take on disk.")
    oldest = registry.gauge(
        "spanmill_journal_oldest_seconds",
        "Age of the oldest record in the journal; 0 where there is none.",
    )
    refusing = registry.gauge(
        "spanmill_journal_refusing",
        "1 while the journal takes nothing (the log says why), otherwise 0.",
    )
    damaged = registry.counter(
        "spanmill_journal_damaged_records_total",
        "Records of the journal that this process found damaged and passed over.",
    )
    damaged.add(0)
    age = registry.gauge("spanmill_checkpoint_age_seconds", "Age of the newest checkpoint.")
    taken = registry.gauge("spanmill_checkpoint_bytes", "Size of the newest checkpoint.")
    took = registry.gauge(
        "spanmill_checkpoint_duration_seconds", "How long the newest checkpoint took to write."
    )
    held = registry.gauge(
        "spanmill_checkpoint_held_seconds",
        "How long nothing could be received while the newest checkpoint was copied.",
    )
    counted = 0

    def refresh() -> None:
        nonlocal counted
        now = clock.time_ns()
        arrival = journal.oldest_arrival_ns
        size.set(journal.bytes_on_disk)
        oldest.set(0 if arrival is None else max(0, now - arrival) / _SECOND)
        refusing.set(journal.refusal is not None)
        found = journal.damaged_records
        damaged.add(max(0, found - counted))
        counted = max(counted, found)
        newest = checkpoint()
        if newest is not None:
            age.set(max(0, now - newest.time_ns) / _SECOND)
            taken.set(newest.size)
            took.set(newest.seconds)
            held.set(newest.held_seconds)

    registry.before_snapshot(refresh)
