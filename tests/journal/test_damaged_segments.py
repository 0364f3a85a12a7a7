"""Segments that are damaged where it hurts: no start removes what holds records."""

from __future__ import annotations

import logging
from pathlib import Path

import google_crc32c
import pytest

from journal.on_disk import Disk, SaidFollower, end, leave, numbered, replayed, step, write
from spanmill.journal.cursor_log import CursorEntry, CursorLog
from spanmill.journal.files import RealFiles
from spanmill.journal.log import CursorSettings, Signal
from spanmill.journal.record_format import begun_with, crc32c
from spanmill.testing import ManualClock

PAYLOADS = numbered(12)


@pytest.fixture
def segments(disk: Disk) -> list[Path]:
    """Three segments: five records, five, and two."""
    journal = disk.opened()
    write(journal, PAYLOADS)
    end(journal)
    return disk.segments()


def errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno == logging.ERROR]


def found(disk: Disk) -> list[bytes | None]:
    journal = disk.opened()
    payloads = [record.payload for record in replayed(journal)]
    leave(journal)
    return payloads


def overwrite(path: Path, begin: int, finish: int, filler: bytes = b"\0") -> None:
    content = path.read_bytes()
    path.write_bytes(content[:begin] + filler * (finish - begin) + content[finish:])


def test_a_sum_can_be_run_backwards() -> None:
    assert begun_with(crc32c(b"spans"), b"spans") == 0
    for salt in (1, 0xDEADBEEF, 0xFFFFFFFF):
        assert begun_with(google_crc32c.extend(salt, b"spans"), b"spans") == salt


@pytest.mark.parametrize("filler", [b"\0", b"\xff"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_records_behind_a_first_block_that_is_lost_are_all_there(
    disk: Disk, segments: list[Path], number: int, filler: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    overwrite(segments[number], 0, 4096, filler)
    assert found(disk) == PAYLOADS
    (told,) = errors(caplog)
    assert told.__dict__["segment"] == str(segments[number])
    caplog.clear()
    assert found(disk) == PAYLOADS
    assert not errors(caplog), "it was written again"


def test_a_seal_gives_the_records_behind_a_first_one_that_is_lost_as_well(
    disk: Disk, segments: list[Path]
) -> None:
    overwrite(segments[1], 0, 1000)
    overwrite(segments[1], 2048, 3000)
    overwrite(segments[1], 4096, 4200)
    assert found(disk) == PAYLOADS[:5] + PAYLOADS[6:]


def test_one_copy_of_the_head_is_enough(
    disk: Disk, segments: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    overwrite(segments[0], 0, 2048)
    overwrite(segments[1], 2048, 4096)
    assert found(disk) == PAYLOADS
    assert not errors(caplog)


def test_records_that_nobody_can_vouch_for_are_set_aside_with_a_line_that_names_the_file(
    disk: Disk, segments: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    for times in (1, 2):
        content = segments[1].read_bytes()
        overwrite(segments[1], 0, 6000)
        damaged = segments[1].read_bytes()
        caplog.clear()
        assert found(disk) == PAYLOADS[:5] + PAYLOADS[10:]
        aside = segments[1].name + (".unreadable" if times == 1 else ".unreadable-2")
        told, missing = errors(caplog)
        assert told.__dict__["segment"] == str(segments[1].with_name(aside))
        assert "backup" in told.__dict__["what_to_do"]
        assert (missing.__dict__["from"], missing.__dict__["to"]) == (5, 9)
        assert segments[1].with_name(aside).read_bytes() == damaged
        segments[1].write_bytes(content)
    assert found(disk) == PAYLOADS


def test_a_segment_under_another_name_is_set_aside_and_its_own_name_is_told(
    disk: Disk, segments: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    other = segments[1].with_name(f"{99:020}.seg")
    segments[1].rename(other)
    assert found(disk) == PAYLOADS[:5] + PAYLOADS[10:]
    told = next(e for e in errors(caplog) if "segment" in e.__dict__)
    assert told.__dict__["segment"] == f"{other}.unreadable"
    assert segments[1].name in told.__dict__["what_to_do"]
    Path(f"{other}.unreadable").rename(segments[1])
    assert found(disk) == PAYLOADS


def test_room_that_was_made_ready_and_holds_nothing_is_removed(
    disk: Disk, segments: list[Path]
) -> None:
    empty = segments[0].with_name(f"{12:020}.seg")
    empty.write_bytes(bytes(100_000))
    assert found(disk) == PAYLOADS
    assert not empty.exists()
    assert not list(empty.parent.glob("*.unreadable*"))


@pytest.mark.parametrize("lost", ["footer", "first block"])
def test_a_compressed_segment_is_read_by_its_blocks_where_the_rest_is_lost(
    disk: Disk, clock: ManualClock, lost: str
) -> None:
    journal = disk.journal()
    away = journal.cursor(CursorSettings("away", Signal.TRACES, 1 << 30), lambda _: None)
    assert isinstance(away, SaidFollower)
    journal.open()
    large = bytes(range(256)) * 12_000  # several blocks
    write(journal, [large, *PAYLOADS])
    step(journal)
    clock.advance(301.0)
    while journal.compression.step():
        pass
    leave(journal)
    for cold in disk.segments():
        if cold.suffix == ".zst":
            if lost == "footer":
                overwrite(cold, cold.stat().st_size - 5, cold.stat().st_size, b"\x07")
            else:
                overwrite(cold, 0, 4096)
    for _ in range(2):
        journal = disk.opened()
        assert [record.payload for record in replayed(journal)] == [large, *PAYLOADS]
        assert journal.damaged_records == 0
        leave(journal)
    assert [path.suffix for path in disk.segments()].count(".zst") >= 2


def test_damage_in_a_block_beside_a_lost_footer_costs_that_block(
    disk: Disk, clock: ManualClock
) -> None:
    journal = disk.journal()
    journal.cursor(CursorSettings("away", Signal.TRACES, 1 << 30), lambda _: None)
    journal.open()
    write(journal, PAYLOADS)
    step(journal)
    clock.advance(301.0)
    assert journal.compression.step()
    leave(journal)
    cold = disk.segments()[0]
    overwrite(cold, cold.stat().st_size - 5, cold.stat().st_size, b"\x07")
    overwrite(cold, 4096 + 20, 4096 + 21, b"\x99")
    assert found(disk) == PAYLOADS[5:]


def test_records_between_a_checkpoint_and_the_first_segment_are_told_as_missing(
    disk: Disk, segments: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    segments[0].unlink()
    journal = disk.opened()
    assert [record.payload for record in replayed(journal, 1)] == PAYLOADS[5:]
    (told,) = errors(caplog)
    assert (told.__dict__["from"], told.__dict__["to"]) == (2, 4)
    assert journal.damaged_records == 3
    caplog.clear()
    replayed(journal, 4)
    assert not errors(caplog), "nobody needs them any more"
    replayed(journal, -1)
    (told,) = errors(caplog)
    assert "begins anew" in told.message


def test_a_journal_that_is_gone_is_told_and_no_position_is_used_again(
    disk: Disk, segments: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    for segment in segments:
        segment.unlink()
    log = CursorLog(RealFiles(), disk.directory / "cursors" / "traces-away.cursor")
    prepared = log.prepare(CursorEntry(12, [], {}, 1))
    log.switch(prepared, CursorEntry(12, [], {}, 1))
    log.close()
    journal = disk.opened()
    assert replayed(journal, 8) == []
    (told,) = errors(caplog)
    assert (told.__dict__["from"], told.__dict__["to"]) == (9, 11)
    assert journal.stored.end == 12
    end(journal)
    caplog.clear()
    journal = disk.opened()
    assert replayed(journal, 8) == []
    assert not errors(caplog), "it is told once"
    write(journal, [b"more"])
    assert [record.position for record in replayed(journal, 11)] == [12]


def test_the_newest_segment_is_kept_so_that_positions_go_on(
    disk: Disk, segments: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        journal = disk.opened()
        journal.checkpointed(11)
        step(journal)
        end(journal)
    assert [path.name for path in disk.segments()] == [segments[-1].name]
    journal = disk.opened()
    assert journal.stored.end == 12
    replayed(journal, 11)
    assert not errors(caplog)
