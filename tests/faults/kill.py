"""kill -9 at random moments under load: `python -m faults.kill --kills 1000 --seed 1`."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from faults.clients import Manners
from faults.experiment import Experiment, Verdict

MOMENTS: Final = {
    "under load": 50,
    "during recovery": 20,
    "during shutdown": 15,
    "at a checkpoint": 8,
    "at a new segment": 7,
}
"""When a kill comes, and how many of a hundred come then."""
_LOAD_SECONDS: Final = 0.6
_RECOVERY_SECONDS: Final = 1.0
_SHUTDOWN_SECONDS: Final = 0.3
_EVENT_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.0005


@dataclass(slots=True)
class Report:
    """What a run of kills gave."""

    verdict: Verdict = field(default_factory=Verdict)
    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    longest_start: float = 0.0

    def __str__(self) -> str:
        kills = ", ".join(f"{count} {moment}" for moment, count in self.kills.most_common())
        return (
            f"{self.kills.total()} kills in {self.seconds:.0f} s ({kills}); "
            f"longest start {self.longest_start:.1f} s\n{self.verdict}"
        )


def kills(
    count: int,
    seed: int,
    *,
    durability: str = "synced",
    folder: Path | None = None,
    progress: Callable[[str], None] = lambda _line: None,
) -> Report:
    """Kill one spanmill so often, each time at a moment that `seed` chooses, and judge."""
    rng = random.Random(seed)
    report = Report()
    begun = time.monotonic()
    with TemporaryDirectory(prefix="spanmill-kills-", dir=folder) as work:
        directory = Path(work, "state")
        state: dict[str, Any] = {
            "durability": durability,
            "directory": str(directory),
            "segment_bytes": "1MiB",
            "checkpoint_interval": "300ms",
        }
        with Experiment(Path(work), seed, state, Manners()) as experiment:
            experiment.start()
            (moment,) = _moments(rng, 1)
            for number in range(count):
                _kill(experiment, moment, directory, rng)
                report.kills[moment] += 1
                experiment.spawn()
                (moment,) = _moments(rng, 1)
                if moment != "during recovery" or number == count - 1:
                    start = time.monotonic()
                    experiment.process.wait_until_ready()
                    report.longest_start = max(report.longest_start, time.monotonic() - start)
                if number % 25 == 24:
                    progress(f"{number + 1} kills, {len(experiment.watch.watched.faults)} faults")
            report.verdict = experiment.conclude()
            if report.verdict.faults:
                report.verdict.faults.append(f"log:\n{experiment.process.log_tail()}")
    report.seconds = time.monotonic() - begun
    return report


def _moments(rng: random.Random, count: int) -> list[str]:
    return rng.choices(list(MOMENTS), list(MOMENTS.values()), k=count)


def _kill(experiment: Experiment, moment: str, directory: Path, rng: random.Random) -> None:
    process = experiment.process
    if moment == "during recovery":
        _pass(rng.uniform(0.0, _RECOVERY_SECONDS))
    elif moment == "during shutdown":
        _pass(rng.uniform(0.0, _LOAD_SECONDS))
        process.send(signal.SIGTERM)
        _pass(rng.uniform(0.0, _SHUTDOWN_SECONDS))
    elif moment == "at a checkpoint":
        _await_change(directory / "checkpoints")
    elif moment == "at a new segment":
        _await_change(directory / "journal")
    else:
        _pass(rng.uniform(0.0, _LOAD_SECONDS))
    process.kill()


def _pass(seconds: float) -> None:
    """The moment is what is chosen here: nothing is waited for."""
    threading.Event().wait(seconds)


def _await_change(folder: Path) -> None:
    """Return as soon as a file comes, goes or is renamed there, or after a second without one."""
    before = _listing(folder)
    deadline = time.monotonic() + _EVENT_SECONDS
    while _listing(folder) == before and time.monotonic() < deadline:
        _pass(_LOOK_SECONDS)


def _listing(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in folder.iterdir()}
    except FileNotFoundError:
        return set()


def main(arguments: Sequence[str]) -> int:
    """Kill, print the figures, and end with 1 where something was lost, doubled or unbalanced."""
    parser = argparse.ArgumentParser(prog="python -m faults.kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=1, help="processes to kill side by side")
    parser.add_argument("--durability", choices=("synced", "written", "memory"), default="synced")
    parser.add_argument("--folder", type=Path, help="where the state directories are made")
    options = parser.parse_args(arguments)
    shares = [len(range(lane, options.kills, options.lanes)) for lane in range(options.lanes)]
    reports: list[Report] = []
    # Spawned: gRPC can't be forked.
    with ProcessPoolExecutor(options.lanes, mp_context=get_context("spawn")) as pool:
        lanes = [
            pool.submit(
                kills,
                share,
                options.seed + 1000 * lane,
                durability=options.durability,
                folder=options.folder,
                progress=_show,
            )
            for lane, share in enumerate(shares)
        ]
        reports = [lane.result() for lane in lanes]
    total = Report(
        sum((report.verdict for report in reports), Verdict()),
        sum((report.kills for report in reports), Counter()),
        max(report.seconds for report in reports),
        max(report.longest_start for report in reports),
    )
    print(total)
    for fault in total.verdict.faults:
        print(f"FAULT: {fault}")
    return 1 if total.verdict.faults else 0


def _show(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
