"""A cursor's file: torn, damaged, unwritable, long."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from journal.entries import nothing_expires
from journal.followed import Followed, drain, positions, traces
from spanmill.errors import StartError
from spanmill.journal.cursor_log import LONG_BYTES, CursorEntry, encode_entry, read_last_entry
from spanmill.journal.files import Buffer, RealFiles


class FailingFiles(RealFiles):
    """The system's files, of which some operations fail for as long as `error` is set."""

    def __init__(self) -> None:
        self.error: int | None = None
        self.fails_on = {"write"}
        self.syncs = 0

    def write(self, file: int, buffers: Sequence[Buffer], offset: int) -> None:
        self._fail("write")
        super().write(file, buffers, offset)

    def sync(self, file: int) -> None:
        self._fail("sync")
        self.syncs += 1
        super().sync(file)

    def allocate(self, file: int, size: int) -> None:
        self._fail("allocate")
        super().allocate(file, size)

    def rename(self, source: Path, target: Path) -> None:
        self._fail("rename")
        super().rename(source, target)

    def _fail(self, operation: str) -> None:
        if self.error is not None and operation in self.fails_on:
            raise OSError(self.error, os.strerror(self.error))


@pytest.fixture
def files() -> FailingFiles:
    return FailingFiles()


@pytest.fixture
def followed(tmp_path: Path, files: FailingFiles) -> Followed:
    return Followed(tmp_path, files=files)


def file_of(followed: Followed) -> Path:
    return followed.folder / "traces-tempo.cursor"


def written(followed: Followed) -> bytes:
    """The entries of the file; zeros follow them, with which the last one may end as well."""
    return file_of(followed).read_bytes().rstrip(b"\0") + bytes(8)


def with_answers(followed: Followed) -> None:
    """A killed process that had answers for the first three of five records, one by one."""
    cursor = followed.cursor(traces(), nothing_expires)
    for _ in range(5):
        followed.append(b"x")
    for _ in range(3):
        cursor.acknowledge(cursor.read(1, 0), {"delivered": 1})
    followed.crash()


def test_any_cut_through_the_file_costs_answers_but_never_a_record(followed: Followed) -> None:
    with_answers(followed)
    content = written(followed)
    first_entry = len(encode_entry(CursorEntry(0, [], {}, 0)))
    before = 0
    for size in range(2 * first_entry + 40, len(content) + 1):
        file_of(followed).write_bytes(content[:size])
        cursor = followed.cursor(traces(), nothing_expires)
        delivered = cursor.outcomes["delivered"]
        assert before <= delivered <= 3
        assert positions(cursor.read(100, 0)) == list(range(delivered, 5))
        before = delivered
        followed.crash()
    assert before == 3


@pytest.mark.parametrize("place", [4, 12, 20])
def test_a_damaged_end_falls_back_to_the_entry_before(
    followed: Followed, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    with_answers(followed)
    content = bytearray(file_of(followed).read_bytes())
    content[content.rindex(b"\xc5cur") + place] ^= 1
    file_of(followed).write_bytes(content)
    cursor = followed.cursor(traces(), nothing_expires)
    assert cursor.outcomes["delivered"] == 2
    assert positions(drain(cursor)) == [2, 3, 4]
    assert "the end of a destination's file is damaged" in caplog.text
    followed.crash()
    followed.cursor(traces(), nothing_expires)
    assert caplog.text.count("is damaged") == 1  # the file was written anew


def test_a_file_of_nothing_but_rubbish_begins_at_the_oldest_record(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    with_answers(followed)
    followed.stored.lose(0)
    file_of(followed).write_bytes(b"rubbish" * 1000)
    cursor = followed.cursor(traces(), nothing_expires)
    assert not cursor.resumed
    assert caplog.text.count("a destination's position can't be read") == 1
    assert positions(drain(cursor)) == [1, 2, 3, 4]


def test_a_full_disk_keeps_the_cursor_going_and_is_told_once(
    followed: Followed, files: FailingFiles, caplog: pytest.LogCaptureFixture
) -> None:
    cursor = followed.cursor(traces(), nothing_expires)
    for _ in range(4):
        followed.append(b"x")
    files.error = errno.ENOSPC
    for _ in range(3):
        cursor.acknowledge(cursor.read(1, 0), {"delivered": 1})
    assert (cursor.queued_items, cursor.outcomes["delivered"]) == (1, 3)
    assert caplog.text.count("a destination's position can't be written") == 1
    with pytest.raises(OSError, match="No space left"):
        cursor.sync()
    assert cursor.needs_from == 0
    files.error = None
    cursor.sync()
    assert cursor.needs_from == 3
    followed.crash()
    assert positions(drain(followed.cursor(traces(), nothing_expires))) == [3]


@pytest.mark.parametrize("operation", ["sync", "rename", "write"])
def test_a_long_file_is_written_anew_also_after_a_failure(
    followed: Followed, files: FailingFiles, operation: str
) -> None:
    cursor = followed.cursor(traces(), nothing_expires)
    answered = 0
    while answered % 100 or len(written(followed)) <= LONG_BYTES + 8:
        followed.append(b"x")
        cursor.acknowledge(cursor.read(1, 0), {"delivered": 1})
        answered += 1
    files.fails_on, files.error = {operation}, errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        cursor.sync()
    followed.append(b"x")
    cursor.acknowledge(cursor.read(1, 0), {"delivered": 1})
    files.error = None
    cursor.sync()
    assert len(written(followed)) < 1000
    assert cursor.needs_from == answered + 1
    followed.crash()
    assert followed.cursor(traces(), nothing_expires).outcomes == {"delivered": answered + 1}


def test_a_full_disk_lets_answers_be_written_for_a_while(
    followed: Followed, files: FailingFiles
) -> None:
    cursor = followed.cursor(traces(), nothing_expires)
    files.fails_on, files.error = {"allocate"}, errno.ENOSPC
    size = file_of(followed).stat().st_size
    answered = 0
    while answered % 100 or len(written(followed)) <= LONG_BYTES + 8:
        followed.append(b"x")
        cursor.acknowledge(cursor.read(1, 0), {"delivered": 1})
        answered += 1
    with pytest.raises(OSError, match="No space left"):
        cursor.sync()
    followed.append(b"x")
    cursor.acknowledge(cursor.read(1, 0), {"delivered": 1})
    assert file_of(followed).stat().st_size == size
    followed.crash()
    files.error = None
    assert followed.cursor(traces(), nothing_expires).outcomes == {"delivered": answered + 1}


def test_nothing_is_synced_where_nothing_happened(followed: Followed, files: FailingFiles) -> None:
    cursor = followed.cursor(traces(), nothing_expires)
    cursor.sync()
    before = files.syncs
    cursor.sync()
    assert files.syncs == before


def test_a_file_that_cannot_be_used_stops_the_start_with_a_sentence(
    followed: Followed, files: FailingFiles
) -> None:
    files.error = errno.EROFS
    with pytest.raises(StartError, match=r"can't use .*traces-tempo\.cursor: .*; make it writable"):
        followed.cursor(traces(), nothing_expires)


def test_the_last_whole_entry_counts(tmp_path: Path) -> None:
    entries = [CursorEntry(n, [(0, 1)], {"delivered": n}, 7) for n in range(3)]
    path = tmp_path / "a.cursor"
    path.write_bytes(b"".join(map(encode_entry, entries)) + encode_entry(entries[0])[:9])
    assert read_last_entry(RealFiles(), path) == (entries[2], True)
