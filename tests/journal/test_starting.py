"""Directories in which the journal can't start: each says in one sentence how to go on."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from journal.modelled_files import ModelledFiles, failing
from journal.on_disk import Disk, end, leave, numbered, replayed, write
from journal.power import History, journal_on, recovered_from
from spanmill.errors import StartError
from spanmill.journal.files import RealFiles
from spanmill.journal.segment_format import Head, encode_head


def refusal(disk: Disk) -> str:
    journal = disk.journal()
    with pytest.raises(StartError) as refused:
        journal.open()
    message = str(refused.value)
    assert "\n" not in message
    assert str(disk.directory) in message
    return message


def test_a_directory_that_another_process_holds_names_it(disk: Disk) -> None:
    journal = disk.opened()
    assert f"held by process {os.getpid()}" in refusal(disk)
    write(journal, [b"undisturbed"])
    end(journal)
    assert len(replayed(disk.opened())) == 1


def test_a_directory_is_free_again_where_a_start_failed(disk: Disk) -> None:
    end(disk.opened())
    format_file = disk.directory / "format"
    good = format_file.read_text()
    format_file.write_text("{")
    refusal(disk)
    format_file.write_text(good)
    end(disk.opened())


def test_a_directory_of_a_newer_version_says_which(disk: Disk) -> None:
    end(disk.opened())
    format_file = disk.directory / "format"
    said = json.loads(format_file.read_text())
    assert (said["format"], said["spanmill"]) == (1, "1.2.3")
    format_file.write_text(json.dumps(said | {"format": 2, "spanmill": "9.0"}))
    message = refusal(disk)
    assert "format 2 of spanmill 9.0" in message
    assert "1.2.3" in message


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 1, "spanmill": "1", "journal_id": 5}'],
)
def test_a_damaged_format_file_says_how_to_go_on(disk: Disk, content: bytes) -> None:
    end(disk.opened())
    (disk.directory / "format").write_bytes(content)
    assert "damaged" in refusal(disk)


def test_a_segment_of_a_newer_version_or_another_journal_is_left_alone(disk: Disk) -> None:
    journal = disk.opened()
    write(journal, [b"x"])
    end(journal)
    (segment,) = disk.segments()
    content = segment.read_bytes()
    newer = encode_head(Head(0, 0, 1, journal.journal_id, True, format=2))
    foreign = encode_head(Head(0, 0, 1, b"another journal!", True))
    for head, word in ((newer, "newer spanmill"), (foreign, "another journal")):
        segment.write_bytes(head + content[4096:])
        assert word in refusal(disk)
        assert segment.read_bytes() == head + content[4096:]


def test_a_format_file_that_is_missing_is_written_again_as_the_segments_say(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    journal = disk.opened()
    write(journal, numbered(12))
    end(journal)
    format_file = disk.directory / "format"
    said = format_file.read_bytes()
    format_file.unlink()
    again = disk.opened()
    assert len(replayed(again)) == 12
    end(again)
    assert format_file.read_bytes() == said
    (told,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert told.__dict__["file"] == str(format_file)


def test_segments_of_two_journals_without_a_format_file_are_left_alone(disk: Disk) -> None:
    journal = disk.opened()
    write(journal, numbered(12))
    end(journal)
    format_file = disk.directory / "format"
    format_file.unlink()
    second = disk.segments()[1]
    foreign = encode_head(Head(5, 5, 1, b"another journal!", True))
    second.write_bytes(foreign + second.read_bytes()[4096:])
    before = {path: path.read_bytes() for path in disk.segments()}
    assert second.name in refusal(disk)
    assert not format_file.exists()
    assert {path: path.read_bytes() for path in disk.segments()} == before


def test_a_parent_that_may_only_be_passed_through_stops_no_start(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(disk.opened())
    sync_folder = RealFiles.sync_folder

    def sync(self: RealFiles, path: Path) -> None:
        if path == disk.directory.parent:
            raise PermissionError(errno.EACCES, "permission denied", str(path))
        sync_folder(self, path)

    monkeypatch.setattr(RealFiles, "sync_folder", sync)
    end(disk.opened())
    shutil.rmtree(disk.directory)
    assert "the right to write there" in refusal(disk)


def test_folders_above_the_directory_are_there_after_a_power_cut() -> None:
    folder = Path("/a/b/c/state")
    files, history = ModelledFiles(), History()
    journal = journal_on(files, folder=folder)
    journal.open()
    assert history.submit(journal, [100])
    journal = journal_on(files.power_cut(lambda choices: 0), folder=folder)
    journal.open()
    history.check(recovered_from(journal))


def test_a_file_in_the_place_of_the_directory_is_told(disk: Disk) -> None:
    disk.directory.write_text("a file")
    assert "there is a file in its place" in refusal(disk)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.EACCES, "the right to write there"),
        (errno.EROFS, "mounted read-only"),
        (errno.ENOSPC, "make room on that disk"),
        (errno.EIO, "see to the disk"),
    ],
)
def test_whatever_fails_at_the_start_is_told_with_advice(code: int, advice: str) -> None:
    quiet = ModelledFiles()
    journal_on(quiet).open()
    for number in range(quiet.operations):
        files = ModelledFiles()
        files.fails = failing(code, [number])
        with pytest.raises(StartError, match=advice):
            journal_on(files).open()
        files.fails = lambda number, name: None
        files.locked = False
        journal_on(files).open()


def test_an_empty_directory_is_made_with_nothing_in_it(disk: Disk) -> None:
    journal = disk.opened()
    assert replayed(journal) == []
    assert (journal.stored.first, journal.stored.end) == (0, 0)
    assert journal.oldest_arrival_ns is None
    assert disk.directory.stat().st_mode & 0o077 == 0, "others see nothing of it"
    end(journal)


def test_a_start_reads_only_the_segment_that_is_not_sealed(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = disk.opened()
    write(journal, [bytes(5000)] * 60)
    assert journal.upkeep is not None
    journal.upkeep.step()
    leave(journal)
    read = 0
    journal = disk.journal()
    pread: Callable[[int, int, int], bytes] = os.pread

    def counted(file: int, size: int, offset: int) -> bytes:
        nonlocal read
        content = pread(file, size, offset)
        read += len(content)
        return content

    monkeypatch.setattr(os, "pread", counted)
    journal.open()
    monkeypatch.undo()
    assert len(disk.segments()) == 12
    assert read < 150_000, "one of twelve segments, and the first blocks and footers of the others"
    assert len(replayed(journal)) == 60
