"""What the journal lets go, and when it takes no more."""

from __future__ import annotations

import pytest

from journal.on_disk import (
    SEGMENT_BYTES,
    Disk,
    SaidFollower,
    end,
    numbered,
    replayed,
    step,
    write,
)
from spanmill.errors import UnavailableError
from spanmill.journal.log import CursorSettings, Entry, Signal
from spanmill.testing import ManualClock


def test_segments_go_when_the_checkpoint_and_every_destination_are_past_them(disk: Disk) -> None:
    journal = disk.journal()
    follower = journal.cursor(CursorSettings("tempo", Signal.TRACES, 1 << 30), lambda _: None)
    assert isinstance(follower, SaidFollower)
    journal.open()
    write(journal, numbered(20))
    step(journal)
    assert journal.stored.first == 0
    journal.checkpointed(12)
    step(journal)
    assert journal.stored.first == 0, "the destination lacks it"
    follower.needs_from = 7
    step(journal)
    assert journal.stored.first == 5
    follower.needs_from = 20
    step(journal)
    assert journal.stored.first == 10, "a start would replay it"
    assert [r.position for r in journal.stored.read(0)] == list(range(10, 20))


def test_a_destination_gives_up_what_is_older_than_max_age(disk: Disk, clock: ManualClock) -> None:
    journal = disk.journal()
    lazy = journal.cursor(CursorSettings("lazy", Signal.TRACES, 1 << 30), lambda _: None)
    must = journal.cursor(CursorSettings("must", Signal.TRACES, 1 << 30, True), lambda _: None)
    assert isinstance(lazy, SaidFollower)
    assert isinstance(must, SaidFollower)
    journal.open()
    write(journal, numbered(10))
    clock.advance(3000.0)
    write(journal, numbered(10))
    journal.checkpointed(19)
    step(journal)
    assert lazy.expired_below == 0
    clock.advance(700.0)
    step(journal)
    assert (lazy.expired_below, must.expired_below) == (10, 0)
    assert journal.stored.first == 0, "the required one lacks it"


def test_a_journal_at_max_bytes_expires_the_oldest_for_those_who_may_lack_it(disk: Disk) -> None:
    disk.max_bytes = 4 * SEGMENT_BYTES
    journal = disk.journal()
    lazy = journal.cursor(CursorSettings("lazy", Signal.TRACES, 1 << 30), lambda _: None)
    assert isinstance(lazy, SaidFollower)
    journal.open()
    for number in range(100):
        write(journal, numbered(1))
        journal.checkpointed(number)
        step(journal)
        assert journal.bytes_on_disk <= disk.max_bytes
    assert lazy.expired_below >= 80
    assert journal.refusal is None


def test_a_journal_at_max_bytes_refuses_before_a_required_destination_loses_anything(
    disk: Disk,
) -> None:
    disk.max_bytes = 4 * SEGMENT_BYTES
    journal = disk.journal()
    must = journal.cursor(CursorSettings("must", Signal.TRACES, 1 << 30, True), lambda _: None)
    assert isinstance(must, SaidFollower)
    journal.open()
    taken = 0
    refused: UnavailableError | None = None
    while refused is None:
        try:
            write(journal, numbered(1))
        except UnavailableError as error:
            refused = error
        else:
            journal.checkpointed(taken)
            step(journal)
            taken += 1
    assert "required destination must" in str(refused)
    assert refused.retry_after > 0
    assert len(replayed(journal)) == taken >= 15
    must.needs_from = 10
    step(journal)
    write(journal, numbered(1))


def test_a_journal_that_waits_for_a_checkpoint_says_so(disk: Disk) -> None:
    disk.max_bytes = 4 * SEGMENT_BYTES
    journal = disk.opened()
    with pytest.raises(UnavailableError, match="no checkpoint"):
        write(journal, numbered(100))


def test_a_required_destination_at_its_max_backlog_refuses_spans_but_no_ticks(disk: Disk) -> None:
    journal = disk.journal()
    journal.cursor(CursorSettings("must", Signal.TRACES, 20_000, True), lambda _: None)
    records: list[object] = []
    journal.open()
    journal.start(records.append)
    for payload in numbered(4):
        journal.submit(Entry(payload, Signal.TRACES, "test", 1, None)).result()
    with pytest.raises(UnavailableError, match="must lacks 20000 bytes of traces"):
        journal.submit(Entry(b"x", Signal.TRACES, "test", 1, None)).result()
    assert journal.refusal is not None
    journal.submit(Entry(b"", Signal.TICK, "", 0, None)).result()
    assert len(records) == 5
    end(journal)


def test_what_an_optional_destination_never_answers_for_holds_up_nothing(disk: Disk) -> None:
    disk.max_bytes = 4 * SEGMENT_BYTES
    journal = disk.journal()
    stuck = journal.cursor(CursorSettings("stuck", Signal.TRACES, 1 << 30), lambda _: None)
    assert isinstance(stuck, SaidFollower)
    stuck.sync = lambda: None  # type: ignore[method-assign]  # what it read, it needs for ever
    journal.open()
    for number in range(60):
        write(journal, numbered(1))
        journal.checkpointed(number)
        step(journal)
        assert journal.bytes_on_disk <= disk.max_bytes
    assert stuck.needs_from == 0
    assert journal.stored.first > 30
