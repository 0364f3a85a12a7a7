"""Segments that wait for a destination that is far behind."""

from __future__ import annotations

from journal.on_disk import (
    Disk,
    SaidFollower,
    end,
    leave,
    numbered,
    replayed,
    step,
    write,
)
from spanmill.journal.follower import Backlog
from spanmill.journal.log import CursorSettings, Signal
from spanmill.testing import ManualClock


def test_a_cold_segment_is_compressed_and_read_as_before(disk: Disk, clock: ManualClock) -> None:
    journal = disk.journal()
    follower = journal.cursor(CursorSettings("away", Signal.TRACES, 1 << 30), lambda _: None)
    assert isinstance(follower, SaidFollower)
    journal.open()
    payloads = numbered(20)
    write(journal, payloads)
    journal.checkpointed(19)
    step(journal)
    reader = journal.stored.read(1)
    assert next(reader).payload == payloads[1]
    assert not journal.compression.step(), "it is not old enough"
    clock.advance(301.0)
    before = journal.bytes_on_disk
    while journal.compression.step():
        pass
    assert [path.suffix for path in disk.segments()] == [".zst", ".zst", ".seg", ".seg"]
    assert journal.bytes_on_disk < before
    assert [record.payload for record in reader] == payloads[2:], "who was reading reads on"
    for position in (0, 4, 5, 9, 13):
        found = [record.payload for record in journal.stored.read(position)]
        assert found == payloads[position:]
    leave(journal)
    journal = disk.opened()
    assert [record.payload for record in replayed(journal)] == payloads
    assert journal.stored.backlog(Signal.TRACES, 0) == Backlog(20, 20, 100_000)


def test_damage_in_a_cold_segment_costs_a_block_and_no_more(disk: Disk, clock: ManualClock) -> None:
    journal = disk.journal()
    journal.cursor(CursorSettings("away", Signal.TRACES, 1 << 30), lambda _: None)
    journal.open()
    payloads = numbered(15)
    write(journal, payloads)
    step(journal)
    clock.advance(301.0)
    assert journal.compression.step()
    cold = disk.segments()[0]
    content = bytearray(cold.read_bytes())
    content[4096 + 20] ^= 1
    cold.write_bytes(content)
    assert [record.payload for record in replayed(journal)] == payloads[5:]
    assert journal.damaged_records == 1
    end(journal)
