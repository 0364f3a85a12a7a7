"""What is measured in which order: every target takes every workload, in turns."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

from benchmarks.ingest.load import Sending
from benchmarks.ingest.machine import split_cpus
from benchmarks.ingest.measurement import Measurement, Procedure, Workload, measure
from benchmarks.ingest.payloads import Payloads, read_recording, regroup
from benchmarks.ingest.process import pinned
from benchmarks.ingest.table import Row
from benchmarks.ingest.targets import Target
from spanmill.clock import Clock

_WAY_BATCH: Final = 512

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: every batch size on every path, and `ways` of sending besides.

    Where `label_sets` names some, the spans are of so many, each number of them in its turn. The
    ways are measured with 512 spans a request where that is among the batches, forwarded.
    `passes` over the recording in each run: None means as many as the batch size calls for.
    `spans` None means all that were recorded.
    """

    targets: Sequence[Target]
    batches: Sequence[int]
    forward: Sequence[bool]
    rounds: int
    passes: int | None
    in_flight: int
    ways: Sequence[Sending]
    label_sets: Sequence[int | None]
    recording: Path
    spans: int | None

    def run(self, clock: Clock, random_source: random.Random, progress: Progress) -> list[Row]:
        """A row for each target and workload; `progress` gets a line after each run."""
        target_cpus, load_cpus = split_cpus(os.sched_getaffinity(0))
        recording = read_recording(self.recording)
        rows: list[Row] = []
        with pinned(load_cpus):
            for batch, label_sets in product(self.batches, self.label_sets):
                payloads = Payloads(
                    regroup(recording, batch, self.spans), clock, random_source, label_sets
                )
                procedure = Procedure(
                    self.passes or _passes(batch), self.in_flight, target_cpus, load_cpus
                )
                workloads = [
                    Workload(batch, forward, label_sets=label_sets) for forward in self.forward
                ]
                if batch == _WAY_BATCH:
                    workloads += [Workload(batch, True, way, label_sets) for way in self.ways]
                for workload in workloads:
                    rows += self._alternate(workload, payloads, procedure, progress)
        return rows

    def _alternate(
        self, workload: Workload, payloads: Payloads, procedure: Procedure, progress: Progress
    ) -> list[Row]:
        """The targets take turns, so that a noisy minute meets all of them."""
        targets = [target for target in self.targets if target.derives or workload.forward]
        runs: dict[str, list[Measurement]] = {target.name: [] for target in targets}
        for number in range(1, self.rounds + 1):
            for target in targets:
                measurement = measure(target, workload, payloads, procedure)
                runs[target.name].append(measurement)
                void = measurement.books.void()
                progress(
                    f"{workload}, round {number}: {target.name} "
                    + (f"void: {void}" if void else f"{measurement.microseconds_a_span:.2f} µs")
                )
        return [Row(workload, name, measured) for name, measured in runs.items()]


def _passes(batch: int) -> int:
    """CPU time has steps of 10 ms: the cheaper a span, the more of them are needed."""
    return 1 if batch < 100 else 2 if batch < 512 else 4
