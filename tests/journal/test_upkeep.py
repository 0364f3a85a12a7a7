"""The journal is kept in order whatever the disk does meanwhile."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest

from journal.on_disk import Disk, SaidFollower, end, numbered, step, write
from journal.outages import Site
from spanmill.journal.log import CursorSettings, Signal
from waiting import Eventually


def unreadable(file: int, size: int, offset: int) -> bytes:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_backlog_is_cut_by_sums_where_the_disk_gives_no_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(
        tmp_path,
        CursorSettings("away", Signal.TRACES, 100_000),
        segment_bytes=64 << 10,
        tail_bytes=10_000,
    )
    for n in range(300):
        site.submit(b"%04d" % n * 250)
    with monkeypatch.context() as disk:
        disk.setattr(os, "pread", unreadable)
        site.upkeep()
    away = site.cursors["away"]
    assert away.queued_bytes <= 100_000
    assert away.queued_items + site.expired["away"] == 300
    records = away.read(1 << 30, 0)
    assert [int(record.payload[:4]) for record in records] == list(range(site.expired["away"], 300))
    site.close()


def test_the_part_of_a_segment_that_can_not_be_read_is_estimated(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = disk.opened()
    write(journal, numbered(12), items=3)  # five in a segment
    told = journal.stored.backlog(Signal.TRACES, 2, 11)
    monkeypatch.setattr(os, "pread", unreadable)
    assert journal.stored.backlog(Signal.TRACES, 2, 11) == told
    monkeypatch.undo()
    end(journal)


def test_room_is_made_for_a_commit_also_where_the_disk_gives_no_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = CursorSettings("away", Signal.TRACES, 1 << 30)
    site = Site(tmp_path, away, segment_bytes=64 << 10, tail_bytes=10_000, max_bytes=256 << 10)
    site.submit(bytes(1000))
    monkeypatch.setattr(os, "pread", unreadable)
    for position in range(1, 600):
        assert site.submit(bytes(1000)) == position
        site.journal.checkpointed(position)
        if position % 20 == 0:
            site.upkeep()
    assert site.journal.bytes_on_disk <= 256 << 10
    monkeypatch.undo()
    site.close()


def test_a_part_that_fails_keeps_nothing_else_from_being_done_and_is_told_once(
    disk: Disk,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Eventually,
) -> None:
    journal = disk.journal()
    follower = journal.cursor(CursorSettings("tempo", Signal.TRACES, 1 << 30), lambda _: None)
    assert isinstance(follower, SaidFollower)
    turns = 0

    def broken() -> None:
        nonlocal turns
        turns += 1
        raise ValueError("a fault of ours")

    monkeypatch.setattr(follower, "sync", broken)
    journal.open()
    write(journal, numbered(20))
    journal.checkpointed(19)
    follower.needs_from = 20
    with pytest.raises(ValueError, match="a fault of ours"):
        step(journal)
    assert journal.stored.first > 0
    assert journal.upkeep is not None
    turns = 0
    with caplog.at_level(logging.ERROR):
        journal.upkeep.start()
        journal.upkeep.wake()
        eventually(lambda: turns >= 1, "it was done")
        journal.upkeep.wake()
        eventually(lambda: turns >= 2, "it goes on")
        journal.upkeep.close()
    (told,) = (r for r in caplog.records if "upkeep failed" in r.message)
    assert told.exc_info is not None
    monkeypatch.undo()
    end(journal)
