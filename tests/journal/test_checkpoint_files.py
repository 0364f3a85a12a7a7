"""The folder of checkpoints: two are kept, each whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from spanmill.errors import CheckpointError, StartError
from spanmill.journal.checkpoint_files import CheckpointFiles
from spanmill.journal.checkpoint_format import encode_checkpoint
from spanmill.journal.files import Buffer, RealFiles


def pieces(position: int) -> list[bytes]:
    return encode_checkpoint("1", position, 0, 0, [("part", {"position": position})])


def positions(files: CheckpointFiles) -> list[int]:
    return [files.read(path).position for path in files.newest_first()]


def test_nothing_is_there_at_first(tmp_path: Path) -> None:
    assert CheckpointFiles(RealFiles(), tmp_path / "checkpoints").newest_first() == []


def test_the_two_newest_are_kept_and_the_older_one_is_told(tmp_path: Path) -> None:
    files = CheckpointFiles(RealFiles(), tmp_path / "checkpoints")
    oldest = [files.oldest()]
    for position in (3, 8, 120):
        files.write(position, pieces(position))
        oldest.append(files.oldest())
    assert oldest == [-1, 3, 3, 8]
    assert positions(files) == [120, 8]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_one_that_is_set_aside_is_not_found_again(tmp_path: Path) -> None:
    files = CheckpointFiles(RealFiles(), tmp_path)
    files.write(1, pieces(1))
    files.write(2, pieces(2))
    (newest, _) = files.newest_first()
    newest.write_bytes(b"SPMCKPT\nrubbish")
    with pytest.raises(CheckpointError, match="it is no checkpoint"):
        files.read(newest)
    assert files.set_aside(newest).read_bytes() == b"SPMCKPT\nrubbish"
    assert positions(files) == [1]


class FullDisk(RealFiles):
    """Files of a disk that is full after half of the first piece."""

    def write(self, file: int, buffers: Sequence[Buffer], offset: int) -> None:
        super().write(file, [bytes(buffers[0])[:4]], offset)
        raise OSError(28, "No space left on device")


def test_a_full_disk_leaves_the_ones_before_and_gives_its_room_back(tmp_path: Path) -> None:
    CheckpointFiles(RealFiles(), tmp_path).write(1, pieces(1))
    files = CheckpointFiles(FullDisk(), tmp_path)
    with pytest.raises(OSError, match="No space left"):
        files.write(2, pieces(2))
    assert positions(files) == [1]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == len(b"".join(pieces(1)))


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.EACCES, "the right to write there and to read"),
        (errno.EIO, "see to the disk"),
        (errno.EMFILE, "more open files"),
    ],
)
def test_a_file_that_the_disk_does_not_give_ends_the_start_and_is_left_alone(
    tmp_path: Path, code: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(file: int, size: int, offset: int) -> bytes:
        raise OSError(code, os.strerror(code))

    folder = tmp_path / "checkpoints"
    files = CheckpointFiles(RealFiles(), folder)
    files.write(1, pieces(1))
    (path,) = files.newest_first()
    monkeypatch.setattr(os, "pread", refused)
    with pytest.raises(StartError, match=advice) as told:
        files.read(path)
    assert str(path) in str(told.value)
    monkeypatch.undo()
    assert positions(files) == [1]


def test_the_newest_two_that_were_set_aside_are_kept(tmp_path: Path) -> None:
    files = CheckpointFiles(RealFiles(), tmp_path)
    for position in range(1, 13):
        path = tmp_path / f"{position:020}.checkpoint"
        path.write_bytes(b"%d" % position)
        files.set_aside(path)
    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == [b"11", b"12"]


def test_a_file_in_the_place_of_the_folder_ends_the_start_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(StartError, match="there is a file in its place"):
        CheckpointFiles(RealFiles(), tmp_path / "checkpoints").newest_first()
