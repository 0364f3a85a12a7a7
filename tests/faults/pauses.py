"""A process that is halted, and one whose clock is set: `python -m faults.pauses --seconds 60`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from faults.clients import Manners
from faults.clock_shift import ClockShift
from faults.experiment import Experiment, Verdict
from faults.process import wait_until

_HOUR: Final = 3600
_STEPS: Final = (_HOUR, 0, -_HOUR, 0, -_HOUR, _HOUR, 0)
"""Where the clock stands after each step, in seconds."""
_LOAD_SECONDS: Final = 1.0


def halted(seconds: float, seed: int, durability: str = "synced") -> Verdict:
    """SIGSTOP under load for so long, SIGCONT, and judge."""
    with (
        TemporaryDirectory(prefix="spanmill-halted-") as work,
        Experiment(Path(work), seed, _state(work, durability), Manners(hasty=0.2)) as experiment,
    ):
        experiment.start()
        _pass(_LOAD_SECONDS)
        experiment.process.send(signal.SIGSTOP)
        _pass(seconds)
        experiment.process.send(signal.SIGCONT)
        _await_progress(experiment)
        verdict = experiment.conclude()
        verdict.faults += _exceptions(experiment)
    return verdict


def clock_steps(seed: int, durability: str = "synced", *, restart: bool = True) -> Verdict:
    """Set the clock by ± 1 h under load, kill and start it there, and judge."""
    with TemporaryDirectory(prefix="spanmill-clock-") as work:
        shift = ClockShift(Path(work))
        with Experiment(
            Path(work), seed, _state(work, durability), environment=shift.environment
        ) as experiment:
            experiment.start()
            faults: list[str] = []
            for seconds in _STEPS:
                _pass(_LOAD_SECONDS)
                shift.set(seconds)
                _await_progress(experiment)
                if restart and seconds:
                    experiment.process.kill()
                    faults += _exceptions(experiment)
                    experiment.spawn()
                    experiment.process.wait_until_ready()
            verdict = experiment.conclude()
            verdict.faults += faults + _exceptions(experiment)
    return verdict


def _state(work: str, durability: str) -> dict[str, Any]:
    return {
        "durability": durability,
        "directory": str(Path(work, "state")),
        "segment_bytes": "1MiB",
        "checkpoint_interval": "1s",
    }


def _await_progress(experiment: Experiment) -> None:
    before = experiment.clients.tally.acknowledged_batches
    wait_until(
        lambda: experiment.clients.tally.acknowledged_batches > before + 10,
        30.0,
        "requests are acknowledged again",
    )


def _exceptions(experiment: Experiment) -> list[str]:
    """What the process has logged as an error; none is expected where only time went wrong."""
    return [
        f"logged: {line.get('msg')} {line.get('exception', '')}"
        for line in experiment.process.lines()
        if line.get("level") in {"error", "critical", "plain"}
    ]


def _pass(seconds: float) -> None:
    """Time that passes is what is tried here: nothing is waited for."""
    threading.Event().wait(seconds)


def main(arguments: Sequence[str]) -> int:
    """Halt, set the clock, print the figures; 1 where something went wrong."""
    parser = argparse.ArgumentParser(prog="python -m faults.pauses", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--durability", choices=("synced", "written", "memory"), default="synced")
    options = parser.parse_args(arguments)
    faults = 0
    for name, verdict in (
        ("halted", halted(options.seconds, options.seed, options.durability)),
        ("clock set by an hour", clock_steps(options.seed, options.durability)),
    ):
        print(f"{name}: {verdict}")
        for fault in verdict.faults:
            print(f"FAULT: {fault}")
        faults += len(verdict.faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
