"""Dead letters on disk: kept in order, within their bounds, readable beside damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanmill.journal.dead_letters import DeadLetter, DeadLetters, letter_files, read_letters
from spanmill.journal.files import RealFiles
from spanmill.journal.log import Signal
from spanmill.testing import ManualClock


def letter(clock: ManualClock, payload: bytes = b"spans", items: int = 2) -> DeadLetter:
    return DeadLetter(Signal.TRACES, "tempo", "answered 400: no", clock.time_ns(), items, payload)


def opened(folder: Path, clock: ManualClock, max_bytes: int = 1 << 20) -> DeadLetters:
    return DeadLetters(RealFiles(), folder, clock, max_bytes=max_bytes, max_age=3600)


def all_letters(folder: Path) -> list[DeadLetter]:
    files = RealFiles()
    return [one for path in letter_files(files, folder) for one in read_letters(files, path)]


def test_letters_are_read_as_they_were_kept_also_after_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    kept = [letter(clock, b"a" * n, n) for n in range(3)]
    opened(tmp_path, clock).add(kept[0])
    again = opened(tmp_path, clock)
    for one in kept[1:]:
        again.add(one)
    assert all_letters(tmp_path) == kept


def test_the_oldest_go_where_there_is_no_room(tmp_path: Path) -> None:
    clock = ManualClock()
    letters = opened(tmp_path, clock, max_bytes=16_000)
    for n in range(50):
        letters.add(letter(clock, b"%02d" % n * 400))
        clock.advance(1)
    left = [one.payload[:2] for one in all_letters(tmp_path)]
    assert left == [b"%02d" % n for n in range(50 - len(left), 50)]
    assert len(left) > 10
    assert letters.dropped == 50 - len(left)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == letters.taken <= 16_000


def test_those_that_are_too_old_go(tmp_path: Path) -> None:
    clock = ManualClock()
    letters = opened(tmp_path, clock, max_bytes=8_000)
    for _ in range(4):
        letters.add(letter(clock, bytes(900)))  # each in a file of its own
        clock.advance(2000)
    letters.add(letter(clock))
    assert letters.dropped == 2


def test_one_that_is_larger_than_the_bound_is_dropped_and_counted(tmp_path: Path) -> None:
    letters = opened(tmp_path, ManualClock(), max_bytes=1000)
    letters.add(letter(ManualClock(), bytes(1000)))
    assert (letters.dropped, all_letters(tmp_path)) == (1, [])


def test_a_damaged_letter_is_passed_over(tmp_path: Path) -> None:
    clock = ManualClock()
    letters = opened(tmp_path, clock)
    for payload in (b"first", b"second", b"third"):
        letters.add(letter(clock, payload))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().replace(b"second", b"sexond")[:-1])
    assert [one.payload for one in all_letters(tmp_path)] == [b"first"]


def test_a_disk_that_takes_nothing_costs_the_letter_and_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    (tmp_path / "file").touch()
    letters = opened(tmp_path / "file", clock)
    for _ in range(3):
        letters.add(letter(clock))
    assert letters.dropped == 3
    assert caplog.text.count("dead letters can't be kept") == 1
