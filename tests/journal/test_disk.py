"""The journal on disk: what it gives back, and what damage does to it."""

from __future__ import annotations

import logging

import pytest

from journal.on_disk import (
    SEGMENT_BYTES,
    Disk,
    end,
    leave,
    numbered,
    replayed,
    write,
)
from spanmill.journal.follower import Backlog
from spanmill.journal.log import Entry, Signal
from spanmill.journal.record_format import encode, prepare
from spanmill.testing import ManualClock


def test_a_record_comes_back_as_it_was_submitted(disk: Disk, clock: ManualClock) -> None:
    journal = disk.opened()
    entries: list[Entry[None]] = [
        Entry(b"spans", Signal.TRACES, "10.0.0.7", 3, None, {"bad_id": 2}, b"k" * 16),
        Entry(b"", Signal.TRACES, "10.0.0.7", 3, None, {}, b"k" * 16, duplicate=True),
        Entry(b"", Signal.TICK, "", 0, None),
        Entry(b"points", Signal.METRICS, "ключ", 9, None),
    ]
    for entry in entries:
        clock.advance(1.0)
        journal.append([journal.prepare(entry)[0]])
    end(journal)
    records = replayed(disk.opened())
    assert [record.position for record in records] == [0, 1, 2, 3]
    assert [record.arrival_ns for record in records] == [10**18 + s * 10**9 for s in (1, 2, 3, 4)]
    for record, entry in zip(records, entries, strict=True):
        assert (record.payload, record.signal, record.source, record.items) == (
            entry.payload,
            entry.signal,
            entry.source,
            entry.items,
        )
        assert (dict(record.rejected), record.key, record.duplicate, record.payload_bytes) == (
            entry.rejected,
            entry.key,
            entry.duplicate,
            len(entry.payload),
        )


@pytest.mark.parametrize("killed", [True, False])
def test_records_are_found_from_any_position_over_many_segments(disk: Disk, killed: bool) -> None:
    journal = disk.opened()
    payloads = numbered(40)
    write(journal, payloads)
    leave(journal) if killed else end(journal)
    journal = disk.opened()
    assert len(disk.segments()) == 8
    for position in (0, 1, 4, 5, 6, 20, 39):
        records = list(journal.stored.read(position))
        assert [record.payload for record in records] == payloads[position:]
    assert [r.payload for r in journal.stored.read(3, payloads=False)] == [None] * 37
    assert (journal.stored.first, journal.stored.end) == (0, 40)
    write(journal, [b"more"])
    assert [record.position for record in replayed(journal, 38)] == [39, 40]


@pytest.mark.parametrize("killed", [True, False])
def test_a_backlog_is_summed_from_any_position_to_any_other(disk: Disk, killed: bool) -> None:
    journal = disk.opened()
    for number in range(30):
        signal = Signal.METRICS if number % 3 == 0 else Signal.TRACES
        entry = Entry(b"x" * (1000 * number % 7000 + 1), signal, "test", number, None)
        journal.append([journal.prepare(entry)[0]])
    leave(journal) if killed else end(journal)
    journal = disk.opened()
    records = replayed(journal)
    for start in range(0, 30, 4):
        for stop in range(start, 31, 3):
            chosen = [r for r in records[start:stop] if r.signal is Signal.TRACES]
            assert journal.stored.backlog(Signal.TRACES, start, stop) == Backlog(
                len(chosen), sum(r.items for r in chosen), sum(r.payload_bytes for r in chosen)
            )


def test_a_larger_record_than_a_segment_gets_one_of_its_own(disk: Disk) -> None:
    journal = disk.opened()
    payloads = [b"a", b"b" * (3 * SEGMENT_BYTES), b"c"]
    write(journal, payloads)
    leave(journal)
    assert [record.payload for record in replayed(disk.opened())] == payloads


@pytest.mark.parametrize("sealed", [True, False])
def test_a_flipped_bit_costs_one_record_and_is_reported_with_segment_and_offset(
    disk: Disk, sealed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    journal = disk.opened()
    payloads = numbered(4, 3000)
    write(journal, payloads)
    end(journal) if sealed else leave(journal)
    (segment,) = disk.segments()
    content = bytearray(segment.read_bytes())
    record = content.index(payloads[1]) - 72 - 7
    for place in (record + 3, record + 30, record + 74, content.index(payloads[1]) + 100):
        damaged = bytearray(content)
        damaged[place] ^= 4
        segment.write_bytes(damaged)
        caplog.clear()
        journal = disk.opened()
        found = replayed(journal)
        assert [r.payload for r in found] == [payloads[0], *payloads[2:]]
        assert [r.position for r in found] == [0, 2, 3]
        assert journal.damaged_records == 1
        (told,) = [r for r in caplog.records if r.levelno == logging.ERROR]
        assert told.__dict__["segment"] == str(segment)
        assert told.__dict__["offset"] == record
        replayed(journal)
        assert journal.damaged_records == 1, "it is told once"
        leave(journal)
        segment.write_bytes(content)


def test_a_flipped_bit_in_a_segments_head_costs_nothing(disk: Disk) -> None:
    journal = disk.opened()
    payloads = numbered(3)
    write(journal, payloads)
    leave(journal)
    (segment,) = disk.segments()
    content = bytearray(segment.read_bytes())
    for place in (0, 9, 17, 25, 2048, 2060):
        damaged = bytearray(content)
        damaged[place] ^= 1
        segment.write_bytes(damaged)
        journal = disk.opened()
        assert [record.payload for record in replayed(journal)] == payloads
        leave(journal)
        segment.write_bytes(content)


def test_a_segment_whose_head_is_lost_is_set_aside_and_the_others_are_read(disk: Disk) -> None:
    journal = disk.opened()
    payloads = numbered(12)
    write(journal, payloads)
    end(journal)
    lost = disk.segments()[1]
    lost.write_bytes(b"\xff" * 5000 + lost.read_bytes()[5000:])
    journal = disk.opened()
    assert [record.payload for record in replayed(journal)] == payloads[:5] + payloads[10:]
    assert journal.damaged_records > 0
    assert lost.with_name(lost.name + ".unreadable").exists()


def test_a_missing_segment_is_reported_and_the_others_are_read(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    journal = disk.opened()
    payloads = numbered(12)
    write(journal, payloads)
    end(journal)
    disk.segments()[1].unlink()
    journal = disk.opened()
    assert [record.payload for record in replayed(journal)] == payloads[:5] + payloads[10:]
    assert journal.damaged_records == 5
    (told,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert (told.__dict__["from"], told.__dict__["to"]) == (5, 9)


def test_a_payload_that_holds_a_record_is_not_taken_for_one(disk: Disk) -> None:
    forged: Entry[None] = Entry(b"forged", Signal.TRACES, "test", 1, None)
    record = b"".join(encode(prepare(forged), 1, 10**18, 2, 0))
    journal = disk.opened()
    write(journal, [bytes(7 + shift) + record for shift in range(8)])
    leave(journal)
    (segment,) = disk.segments()
    content = bytearray(segment.read_bytes())
    begin = 4096
    while (begin := content.find(b"\xf5sm\x1arec\n", begin + 1)) >= 0:
        if bytes(content[begin : begin + len(record)]) != record:
            content[begin] ^= 1  # every real record's mark is gone, but for the first
    segment.write_bytes(content)
    assert b"forged" not in [r.payload for r in replayed(disk.opened())]


def test_positions_are_not_used_again_where_acknowledged_ones_may_have_been_lost(
    disk: Disk,
) -> None:
    disk.durability = "written"
    journal = disk.opened()
    write(journal, numbered(3))
    leave(journal)
    journal = disk.opened()
    assert len(replayed(journal)) == 3
    assert journal.stored.end > 1 << 32
    write(journal, [b"more"])
    assert [record.payload for record in replayed(journal, 2)] == [b"more"]
    end(journal)
    again = disk.opened()
    assert (len(replayed(again)), again.damaged_records) == (4, 0)


def test_positions_that_a_checkpoint_knows_of_are_not_used_again(disk: Disk) -> None:
    journal = disk.opened()
    write(journal, numbered(3))
    journal.begin_at(2)
    assert journal.stored.end == 3
    journal.begin_at(700)
    assert journal.stored.end == 700
    write(journal, [b"more"])
    assert [record.position for record in replayed(journal, 2)] == [700]
    assert [record.position for record in replayed(journal)] == [0, 1, 2, 700]
    leave(journal)
    again = disk.opened()
    assert [record.position for record in replayed(again)] == [0, 1, 2, 700]
    assert again.damaged_records == 0


def test_a_group_of_thousands_of_records_is_written_whole(disk: Disk) -> None:
    journal = disk.opened()
    payloads = numbered(3000, 9)
    group = [journal.prepare(Entry(p, Signal.TRACES, "test", 1, None))[0] for p in payloads]
    assert [record.position for record in journal.append(group)] == list(range(3000))
    leave(journal)
    assert [record.payload for record in replayed(disk.opened())] == payloads
