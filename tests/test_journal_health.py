"""What the journal and its checkpoints show of themselves."""

from __future__ import annotations

from dataclasses import dataclass

from spanmill.journal_health import declare_journal, declare_syncs
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Histograms, Values
from spanmill.testing import ManualClock

NOW = 10**18


@dataclass
class Journal:
    bytes_on_disk: int = 0
    oldest_arrival_ns: int | None = None
    refusal: str | None = None
    damaged_records: int = 0


@dataclass
class Checkpoint:
    time_ns: int
    size: int
    seconds: float
    held_seconds: float


class Shown:
    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.registry = Registry(self.clock)
        self.journal = Journal()
        self.checkpoint: Checkpoint | None = None
        declare_journal(self.registry, self.clock, self.journal, lambda: self.checkpoint)

    def values(self) -> dict[str, float]:
        found = {}
        for family in self.registry.snapshot():
            assert isinstance(family.data, Values)
            (found[family.family.name],) = family.data.values.tolist()
        return found


def test_an_empty_journal_has_no_age_and_no_checkpoint() -> None:
    assert Shown().values() == {
        "spanmill_journal_bytes": 0,
        "spanmill_journal_oldest_seconds": 0,
        "spanmill_journal_refusing": 0,
        "spanmill_journal_damaged_records_total": 0,
    }


def test_size_age_and_refusal_are_those_of_the_moment() -> None:
    shown = Shown()
    shown.journal.bytes_on_disk = 4096
    shown.journal.oldest_arrival_ns = NOW
    shown.journal.refusal = "the disk is full"
    shown.clock.advance(90)
    values = shown.values()
    assert values["spanmill_journal_bytes"] == 4096
    assert values["spanmill_journal_oldest_seconds"] == 90
    assert values["spanmill_journal_refusing"] == 1
    shown.journal.refusal = None
    assert shown.values()["spanmill_journal_refusing"] == 0


def test_a_clock_that_was_set_back_makes_no_age_negative() -> None:
    shown = Shown()
    shown.journal.oldest_arrival_ns = NOW
    shown.checkpoint = Checkpoint(NOW, 1, 0.5, 0.01)
    shown.clock.step(-3600)
    values = shown.values()
    assert values["spanmill_journal_oldest_seconds"] == 0
    assert values["spanmill_checkpoint_age_seconds"] == 0


def test_damaged_records_are_counted_once() -> None:
    shown = Shown()
    shown.journal.damaged_records = 2
    for _ in range(3):
        assert shown.values()["spanmill_journal_damaged_records_total"] == 2
    shown.journal.damaged_records = 5
    assert shown.values()["spanmill_journal_damaged_records_total"] == 5


def test_the_newest_checkpoint_is_shown_with_its_age() -> None:
    shown = Shown()
    shown.checkpoint = Checkpoint(NOW, 2_000_000, 0.5, 0.01)
    shown.clock.advance(30)
    values = shown.values()
    assert values["spanmill_checkpoint_age_seconds"] == 30
    assert values["spanmill_checkpoint_bytes"] == 2_000_000
    assert values["spanmill_checkpoint_duration_seconds"] == 0.5
    assert values["spanmill_checkpoint_held_seconds"] == 0.01


def test_each_sync_is_observed() -> None:
    registry = Registry(ManualClock())
    observe = declare_syncs(registry)
    observe(150_000)
    observe(3_000_000_000)
    (family,) = registry.snapshot()
    assert isinstance(family.data, Histograms)
    assert family.data.counts.tolist() == [2]
    assert family.data.bucket_counts[0, 1] == 1
    assert family.data.bucket_counts[0, -1] == 1
