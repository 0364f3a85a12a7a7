"""How long a start takes with much to read: `python -m faults.large --megabytes 1024`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from faults.clients import Manners
from faults.experiment import Experiment, Verdict

_MIB: Final = 1 << 20
_FILL_SECONDS: Final = 3600.0
_START_SECONDS: Final = 1800.0
_LOOK_SECONDS: Final = 0.2


@dataclass(slots=True)
class Report:
    """What was there, how long the start took, and what it told meanwhile."""

    verdict: Verdict = field(default_factory=Verdict)
    megabytes: float = 0.0
    spans: int = 0
    seconds: float = 0.0
    progress: int = 0

    def __str__(self) -> str:
        return (
            f"{self.megabytes:,.0f} MiB of records with {self.spans:,} spans and no checkpoint "
            f"since its begin: ready after {self.seconds:.1f} s "
            f"({self.spans / self.seconds:,.0f} spans/s), {self.progress} lines of progress\n"
            f"{self.verdict}"
        )


def large(megabytes: int, seed: int) -> Report:
    """Fill a journal for a destination that is away, kill, start, and judge."""
    report = Report()
    with TemporaryDirectory(prefix="spanmill-large-") as work:
        state: dict[str, Any] = {
            "directory": str(Path(work, "state")),
            "checkpoint_interval": "24h",
            "max_bytes": "64GiB",
        }
        manners = Manners(clients=8, spans=(2000, 2000), pause=0.0, hasty=0.0, forgetful=0.0)
        with Experiment(Path(work), seed, state, manners) as experiment:
            experiment.sink.away = True
            experiment.start()
            deadline = time.monotonic() + _FILL_SECONDS
            while (queued := _queued_bytes(experiment)) < megabytes * _MIB:
                assert time.monotonic() < deadline, "the journal doesn't grow"
                time.sleep(_LOOK_SECONDS)
            experiment.clients.hold(on=True)
            experiment.process.kill()
            report.megabytes = queued / _MIB
            report.spans = experiment.clients.tally.acknowledged_spans
            experiment.sink.away = False
            begun = time.monotonic()
            experiment.spawn()
            experiment.process.wait_until_ready(_START_SECONDS)
            report.seconds = time.monotonic() - begun
            report.progress = sum(
                line["msg"] == "reading the journal" for line in experiment.process.lines()
            )
            report.verdict = experiment.conclude()
    return report


def _queued_bytes(experiment: Experiment) -> float:
    """What waits for the destination: the records' payloads, without what is only preallocated."""
    scrape = experiment.watch.scrape()
    return 0.0 if scrape is None else scrape.sum("spanmill_export_queued_bytes")


def main(arguments: Sequence[str]) -> int:
    """Fill, start, print the figures, and end with 1 where something was lost or unbalanced."""
    parser = argparse.ArgumentParser(prog="python -m faults.large", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    report = large(options.megabytes, options.seed)
    print(report)
    for fault in report.verdict.faults:
        print(f"FAULT: {fault}")
    return 1 if report.verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
