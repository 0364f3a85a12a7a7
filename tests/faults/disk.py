"""A disk that is full now and then: `python -m faults.disk --rounds 100 --seed 1`, as root."""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from faults.clients import Manners
from faults.experiment import Experiment, Verdict

_DISK_BYTES: Final = 24 << 20
_LEFT_BYTES: Final = (0, 256 << 10)
_FULL_SECONDS: Final = (0.0, 1.0)
_REFUSAL_SECONDS: Final = 10.0
_UNTIL_REFUSED: Final = 0.8
"""The share of rounds in which the disk stays full until somebody is refused, and then on."""
_FREE_SECONDS: Final = (0.2, 1.0)


class NoDiskError(Exception):
    """No small disk can be had here; the text says why."""


@dataclass(slots=True)
class Report:
    """What a run of full disks gave."""

    verdict: Verdict = field(default_factory=Verdict)
    rounds: int = 0
    rounds_with_refusals: int = 0
    kills: int = 0
    longest_return: float = 0.0
    """Seconds from room on the disk to the next acknowledgement."""

    def __str__(self) -> str:
        return (
            f"{self.rounds} times full, {self.rounds_with_refusals} with refusals, "
            f"{self.kills} kills meanwhile; the next acknowledgement came at most "
            f"{self.longest_return:.1f} s after there was room\n{self.verdict}"
        )


@contextlib.contextmanager
def small_disk(folder: Path, size: int = _DISK_BYTES, options: str = "") -> Iterator[Path]:
    """A file system of its own with so many bytes; NoDiskError where it can't be mounted."""
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}{options}", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        raise NoDiskError(f"a tmpfs can't be mounted: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path, left: int) -> Path:
    """Fill the disk but for `left` bytes; removing the file gives the room back."""
    ballast = disk / "ballast"
    room = os.statvfs(disk)
    size = room.f_bavail * room.f_frsize - left
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        file.write(bytes(max(0, size)))
        while left == 0:
            file.write(bytes(4096))  # what was given back meanwhile
    return ballast


def full_disk(
    rounds: int, seed: int, durability: str = "synced", *, kill_share: float = 0.0
) -> Report:
    """Fill the disk under the journal so often, and judge.

    In `kill_share` of the rounds the process is killed while it is full.
    """
    rng = random.Random(seed)
    report = Report()
    with (
        TemporaryDirectory(prefix="spanmill-disk-") as work,
        small_disk(Path(work)) as disk,
    ):
        state = {
            "durability": durability,
            "directory": str(disk / "state"),
            "segment_bytes": "256KiB",
            "max_bytes": "16MiB",
            "checkpoint_interval": "500ms",
        }
        with Experiment(Path(work), seed, state, Manners()) as experiment:
            experiment.start()
            for _ in range(rounds):
                _round(experiment, disk, rng, report, kill_share)
            report.verdict = experiment.conclude()
            if report.verdict.faults:
                report.verdict.faults.append(f"log:\n{experiment.process.log_tail()}")
    return report


def _round(
    experiment: Experiment, disk: Path, rng: random.Random, report: Report, kill_share: float
) -> None:
    tally = experiment.clients.tally
    _pass(rng.uniform(*_FREE_SECONDS))
    refused = tally.refused_for_now
    ballast = fill(disk, rng.choice((0, rng.randint(*_LEFT_BYTES))))
    if rng.random() < _UNTIL_REFUSED:
        deadline = time.monotonic() + _REFUSAL_SECONDS
        while tally.refused_for_now == refused and time.monotonic() < deadline:
            _pass(0.005)
    _pass(rng.uniform(*_FULL_SECONDS))
    killed = rng.random() < kill_share
    if killed:
        experiment.process.kill()
    ballast.unlink()
    begun, before = time.monotonic(), tally.acknowledged_batches
    if killed:
        report.kills += 1
        experiment.spawn()
        experiment.process.wait_until_ready()
    while tally.acknowledged_batches == before:
        assert time.monotonic() < begun + 30, "nothing is taken although there is room again"
        _pass(0.005)
    if not killed:
        report.longest_return = max(report.longest_return, time.monotonic() - begun)
    report.rounds += 1
    report.rounds_with_refusals += tally.refused_for_now > refused


def _pass(seconds: float) -> None:
    """The moment is what is chosen here: nothing is waited for."""
    threading.Event().wait(seconds)


def main(arguments: Sequence[str]) -> int:
    """Fill, print the figures, and end with 1 where something was lost, doubled or unbalanced."""
    parser = argparse.ArgumentParser(prog="python -m faults.disk", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--kill-share", type=float, default=0.0, help="rounds in which it is killed while full"
    )
    parser.add_argument("--durability", choices=("synced", "written", "memory"), default="synced")
    options = parser.parse_args(arguments)
    try:
        report = full_disk(
            options.rounds, options.seed, options.durability, kill_share=options.kill_share
        )
    except NoDiskError as error:
        print(f"faults.disk: {error}", file=sys.stderr)
        return 2
    print(report)
    for fault in report.verdict.faults:
        print(f"FAULT: {fault}")
    return 1 if report.verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
