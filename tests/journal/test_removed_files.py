"""Files that are removed or exchanged under a running process, and those that it can't name."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from journal.on_disk import Disk, end, leave, numbered, replayed, step, write
from spanmill.errors import StartError, UnavailableError
from spanmill.journal.disk import DiskJournal
from spanmill.journal.files import RealFiles


def move_all(disk: Disk) -> None:
    disk.directory.rename(disk.directory.with_name("moved"))


def exchange_all(disk: Disk) -> None:
    move_all(disk)
    shutil.copytree(disk.directory.with_name("moved"), disk.directory)


def remove_all(disk: Disk) -> None:
    shutil.rmtree(disk.directory)


def empty_it(disk: Disk) -> None:
    for path in disk.directory.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def exchange_the_folder(disk: Disk) -> None:
    folder = disk.directory / "journal"
    folder.rename(disk.directory / "other")
    folder.mkdir()


def exchange_the_format(disk: Disk) -> None:
    path = disk.directory / "format"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"journal_id": "00" * 16}))


@pytest.mark.parametrize(
    "change",
    [move_all, exchange_all, remove_all, empty_it, exchange_the_folder, exchange_the_format],
)
def test_nothing_is_taken_once_the_directory_is_another_one(
    disk: Disk, change: Callable[[Disk], None], caplog: pytest.LogCaptureFixture
) -> None:
    journal = disk.opened()
    write(journal, [b"before"])
    change(disk)
    for _turn in range(3):
        step(journal)
    with pytest.raises(UnavailableError, match="were removed or replaced under this process"):
        write(journal, [b"after"])
    assert "restart it" in str(journal.refusal)
    told = [r for r in caplog.records if "nothing is taken" in r.message]
    assert len(told) == 1
    assert all(path.name == f"{0:020}.seg" for path in disk.segments())
    leave(journal)


def test_a_directory_that_is_put_back_is_used_again(disk: Disk) -> None:
    journal = disk.opened()
    write(journal, [b"before"])
    move_all(disk)
    step(journal)
    with pytest.raises(UnavailableError, match="put them back"):
        write(journal, [b"refused"])
    disk.directory.with_name("moved").rename(disk.directory)
    step(journal)
    disk.clock.advance(10.0)
    write(journal, [b"after"])
    assert journal.refusal is None
    end(journal)
    assert [record.payload for record in replayed(disk.opened())] == [b"before", b"after"]


def test_a_new_segment_is_begun_where_only_the_newest_one_was_removed(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    journal = disk.opened()
    write(journal, [b"lost"])
    disk.segments()[0].unlink()
    step(journal)
    assert "the journal's newest segment was removed" in caplog.text
    write(journal, [b"after"])
    assert [record.payload for record in journal.stored.read(0)] == [b"after"]
    end(journal)
    journal = disk.opened()
    assert [(r.position, r.payload) for r in replayed(journal)] == [(1, b"after")]
    end(journal)


def test_a_lock_file_that_is_removed_lets_no_second_process_in(disk: Disk) -> None:
    journal = disk.opened()
    (disk.directory / "lock").unlink()
    with pytest.raises(StartError, match="held by another process"):
        disk.journal().open()
    end(journal)
    end(disk.opened())


class FilesAlone(RealFiles):
    """A file system that locks no folders."""

    def lock(self, file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        super().lock(file)


def on(files: RealFiles, disk: Disk) -> DiskJournal[None]:
    journal = disk.journal()
    journal._files = files
    return journal


def test_where_folders_cannot_be_locked_the_file_is(disk: Disk) -> None:
    first = on(FilesAlone(), disk)
    first.open()
    with pytest.raises(StartError, match=f"held by process {os.getpid()}"):
        on(FilesAlone(), disk).open()
    end(first)


@pytest.mark.parametrize("call", ["pwritev", "rename", "fsync"])
def test_a_disk_that_refuses_segments_is_left_with_none_of_their_files(
    disk: Disk, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    journal = disk.opened()
    with monkeypatch.context() as failing:
        failing.setattr(os, call, refused)
        for _turn in range(5):
            with pytest.raises(UnavailableError, match="can't be written"):
                write(journal, [b"refused"])
            disk.clock.advance(10.0)
    assert list((disk.directory / "journal").iterdir()) == []
    assert journal.bytes_on_disk == 0
    write(journal, [b"taken"])
    end(journal)
    assert [record.payload for record in replayed(disk.opened())] == [b"taken"]


def test_files_that_can_not_be_removed_are_counted_and_removed_later(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    journal = disk.opened()
    write(journal, numbered(20))
    step(journal)
    journal.checkpointed(19)
    with monkeypatch.context() as failing:
        failing.setattr(os, "unlink", refused)
        failing.setattr(os, "open", refused)
        step(journal)
    taken = sum(path.stat().st_size for path in folder(disk))
    assert journal.bytes_on_disk == taken
    step(journal)
    assert journal.bytes_on_disk == sum(path.stat().st_size for path in folder(disk)) < taken
    end(journal)


def folder(disk: Disk) -> list[Path]:
    return list((disk.directory / "journal").iterdir())
