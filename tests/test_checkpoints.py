"""What is saved of a registry comes back, part by part, from the newest file that is whole."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import google_crc32c
import msgspec
import pytest

from spanmill.checkpoints import BEFORE_ALL, Checkpoints, Saved
from spanmill.errors import CheckpointError
from spanmill.journal.checkpoint_files import CheckpointFiles
from spanmill.journal.checkpoint_format import MAGIC
from spanmill.journal.files import RealFiles
from spanmill.journal.state import State
from spanmill.series.registry import Registry
from spanmill.testing import ManualClock


class Part:
    """A number that a state holds."""

    def __init__(self, number: int = 0, refuses: str | None = None) -> None:
        self.number = number
        self._refuses = refuses

    def state(self) -> State:
        return {"number": self.number}

    def restore(self, state: State) -> None:
        if self._refuses is not None:
            raise CheckpointError(self._refuses)
        self.number = state["number"]


class House:
    """A registry with parts, and checkpoints in a folder."""

    def __init__(self, folder: Path, **parts: Part) -> None:
        self.clock = ManualClock()
        registry = Registry(self.clock)
        for name, part in parts.items():
            registry.keep(name, part)
        self.files = CheckpointFiles(RealFiles(), folder)
        self.checkpoints = Checkpoints(registry, self.files, "1.0", self.clock)


def test_a_restart_brings_back_every_part_and_the_position(tmp_path: Path) -> None:
    first = House(tmp_path, a=Part(1), b=Part(2))
    assert first.checkpoints.restore() == BEFORE_ALL
    first.checkpoints.applied(41, 10**18)
    assert first.checkpoints.needed_after == BEFORE_ALL
    assert first.checkpoints.save()
    assert first.checkpoints.needed_after == 41
    a, b = Part(), Part()
    assert House(tmp_path, a=a, b=b).checkpoints.restore() == 41
    assert (a.number, b.number) == (1, 2)


def test_nothing_new_is_not_written_again_also_after_a_restart(tmp_path: Path) -> None:
    house = House(tmp_path, a=Part(1))
    house.checkpoints.save()
    assert house.checkpoints.saved is None
    house.checkpoints.applied(1, 10**18)
    house.checkpoints.save()
    newest = house.checkpoints.saved
    assert newest is not None
    assert newest.position == 1
    house.checkpoints.save()
    assert house.checkpoints.saved is newest
    again = House(tmp_path, a=Part())
    again.checkpoints.restore()
    restored = again.checkpoints.saved
    again.checkpoints.save()
    assert again.checkpoints.saved is restored
    again.checkpoints.applied(2, 10**18)
    again.checkpoints.save()
    assert again.checkpoints.needed_after == 1


def test_after_a_restart_the_newest_is_the_one_that_was_restored(tmp_path: Path) -> None:
    first = House(tmp_path, a=Part(1))
    first.checkpoints.applied(41, 10**18)
    first.clock.advance(90)
    first.checkpoints.save()
    written = first.checkpoints.saved
    assert written is not None
    again = House(tmp_path, a=Part())
    assert again.checkpoints.saved is None
    again.checkpoints.restore()
    assert again.checkpoints.saved == Saved(
        position=41, time_ns=written.time_ns, size=written.size, seconds=0.0, held_seconds=0.0
    )
    assert written.time_ns == first.clock.time_ns()
    (file,) = again.files.newest_first()
    assert written.size == file.stat().st_size


def test_one_without_a_time_of_its_own_is_as_old_as_its_last_record(tmp_path: Path) -> None:
    house = House(tmp_path, a=Part())
    head = msgspec.msgpack.encode(
        {"format": 1, "spanmill": "0.1", "position": 7, "arrival_ns": 10**18, "parts": []}
    )
    prefix = struct.pack("<II", len(head), google_crc32c.value(head))
    (tmp_path / f"{7:020}.checkpoint").write_bytes(MAGIC + prefix + head)
    assert house.checkpoints.restore() == 7
    assert house.checkpoints.saved is not None
    assert house.checkpoints.saved.time_ns == 10**18


def test_a_damaged_one_is_set_aside_and_the_one_before_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    part = Part(1)
    house = House(tmp_path, a=part)
    for position in (1, 2):
        part.number = position * 10
        house.checkpoints.applied(position, 10**18)
        house.checkpoints.save()
    newest = house.files.newest_first()[0]
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    restored = Part()
    assert House(tmp_path, a=restored).checkpoints.restore() == 1
    assert restored.number == 10
    (told,) = (r for r in caplog.records if r.levelno == logging.WARNING)
    assert told.message == "a checkpoint can't be used and is set aside"
    assert told.reason == "the state of a is damaged"  # type: ignore[attr-defined]  # an extra field


def test_a_part_that_does_not_fit_begins_anew_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = House(tmp_path, changed=Part(1), gone=Part(2), same=Part(3))
    first.checkpoints.applied(5, 10**18)
    first.checkpoints.save()
    changed, same, new = Part(refuses="it has other labels"), Part(), Part()
    assert House(tmp_path, changed=changed, same=same, new=new).checkpoints.restore() == 5
    assert (changed.number, same.number, new.number) == (0, 3, 0)
    told = {(r.part, getattr(r, "reason", None)) for r in caplog.records}  # type: ignore[attr-defined]  # an extra field
    assert told == {("changed", "it has other labels"), ("gone", None), ("new", None)}


def test_a_folder_that_cannot_be_written_costs_no_more_than_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "checkpoints").write_text("a file, where a folder should be")
    house = House(tmp_path / "checkpoints", a=Part(1))
    for position in (1, 2):
        house.checkpoints.applied(position, 10**18)
        assert not house.checkpoints.save()
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1


def test_a_part_that_raises_is_told_and_nothing_is_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Part):
        def state(self) -> State:
            raise ZeroDivisionError

    house = House(tmp_path, a=Broken())
    house.checkpoints.applied(1, 10**18)
    assert not house.checkpoints.save()
    assert house.files.newest_first() == []
    assert any(r.levelno == logging.ERROR and r.exc_info for r in caplog.records)
