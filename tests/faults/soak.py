"""A steady load for a long time: `python -m faults.soak --rate 10000 --seconds 3600`."""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import grpc
import numpy as np

from faults.experiment import Experiment, Verdict
from faults.numbered import Numbers

_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_SERVICES: Final = 40
_SPANS_A_REQUEST: Final = 512
_IN_FLIGHT: Final = 8
_LOOK_SECONDS: Final = 1.0
_MIB: Final = 1 << 20
_TICKS: Final = os.sysconf("SC_CLK_TCK")
MOST_CORES: Final = 1.0
MOST_BYTES: Final = 300 * _MIB


@dataclass(slots=True)
class Report:
    """What a soak gave: CPU seconds and seconds, resident bytes and disk bytes at each look."""

    verdict: Verdict = field(default_factory=Verdict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    late_seconds: float = 0.0
    resident: list[int] = field(default_factory=list)
    peak_bytes: int = 0
    disk: list[int] = field(default_factory=list)
    ack_seconds: Sequence[float] = ()

    @property
    def cores(self) -> float:
        """CPU time a second."""
        return self.cpu_seconds / self.seconds if self.seconds else math.nan

    @property
    def slope(self) -> float:
        """Bytes that the resident memory grows an hour, over the last half, by least squares."""
        half = self.resident[len(self.resident) // 2 :]
        if len(half) < 2:
            return 0.0
        return float(np.polyfit(np.arange(len(half)) * _LOOK_SECONDS, half, 1)[0]) * 3600

    def judge(self) -> None:
        """Add what is over its bound to the faults."""
        if self.cores > MOST_CORES:
            self.verdict.faults.append(f"{self.cores:.2f} cores, more than {MOST_CORES:g}")
        if self.peak_bytes > MOST_BYTES:
            self.verdict.faults.append(f"{self.peak_bytes / _MIB:.0f} MiB, more than 300")

    def __str__(self) -> str:
        p50, p99, longest = (
            np.percentile(self.ack_seconds, (50, 99, 100)) * 1e3 if self.ack_seconds else [0.0] * 3
        )
        return (
            f"{self.verdict.acknowledged_spans / self.seconds:,.0f} spans/s for "
            f"{self.seconds:.0f} s: {self.cores:.2f} cores, RSS peak "
            f"{self.peak_bytes / _MIB:.0f} MiB (last half {self.slope / _MIB:+.0f} MiB an hour), "
            f"ack p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {longest:.0f} ms, disk at most "
            f"{max(self.disk, default=0) / _MIB:.0f} MiB, requests sent up to "
            f"{self.late_seconds:.2f} s late\n{self.verdict}"
        )


def soak(rate: int, seconds: float, seed: int, durability: str = "synced") -> Report:
    """Send `rate` spans a second for so long, and judge what became of them."""
    report = Report()
    with TemporaryDirectory(prefix="spanmill-soak-") as work:
        state = {"durability": durability, "directory": str(Path(work, "state"))}
        with Experiment(Path(work), seed, state) as experiment:
            experiment.start(clients=False)
            load = _Load(experiment, rate, seconds, random.Random(seed))
            process = Path("/proc", str(experiment.process.pid))
            before, begun = _cpu_seconds(process), time.monotonic()
            load.start()
            while load.runs():
                report.resident.append(_memory(process, "VmRSS"))
                report.disk.append(_disk_bytes(Path(work, "state")))
            report.seconds = time.monotonic() - begun
            report.cpu_seconds = _cpu_seconds(process) - before
            report.peak_bytes = _memory(process, "VmHWM")
            report.ack_seconds = load.ack_seconds
            report.late_seconds = load.late_seconds
            report.verdict = experiment.conclude()
    report.verdict.faults += load.failures
    report.judge()
    return report


class _Load:
    """Requests at their times from a few threads; none is sent again, so that a failure tells."""

    def __init__(
        self, experiment: Experiment, rate: int, seconds: float, rng: random.Random
    ) -> None:
        self._experiment = experiment
        self._numbers: Numbers = experiment.numbers
        self._interval = _SPANS_A_REQUEST / rate
        self._rng = rng
        self._due = time.monotonic()
        self._end = self._due + seconds
        self._lock = threading.Lock()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{experiment.process.ports.grpc}")
        self._export = self._channel.unary_unary(_EXPORT, None, None)
        self.ack_seconds: deque[float] = deque(maxlen=1_000_000)
        self.failures: list[str] = []
        self.late_seconds = 0.0
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(_IN_FLIGHT)]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def runs(self) -> bool:
        """Whether it still sends, asked at most once a second."""
        self._threads[0].join(_LOOK_SECONDS)
        return any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        wait = threading.Event()
        while True:
            with self._lock:
                due = self._due
                self._due += self._interval
                service = f"service-{self._rng.randrange(_SERVICES)}"
            if due >= self._end or self.failures:
                return
            wait.wait(max(0.0, due - time.monotonic()))
            batch = self._numbers.batch(service, _SPANS_A_REQUEST, time.time_ns())
            begun = time.monotonic()
            try:
                self._export(batch.body, timeout=30.0)
            except grpc.RpcError as error:
                self.failures.append(f"a request failed: {error}")
                return
            with self._lock:
                self.ack_seconds.append(time.monotonic() - begun)
                self.late_seconds = max(self.late_seconds, begun - due)
                self._experiment.clients.tally.acknowledged_spans += batch.spans


def _cpu_seconds(process: Path) -> float:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(process: Path, key: str) -> int:
    for line in (process / "status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return 0


def _disk_bytes(folder: Path) -> int:
    """What the files there take, without holes; files may go meanwhile."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def main(arguments: Sequence[str]) -> int:
    """Send, print the figures, and end with 1 where a bound or a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m faults.soak", description=__doc__)
    parser.add_argument("--rate", type=int, default=10_000, help="spans a second")
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--durability", choices=("synced", "written", "memory"), default="synced")
    options = parser.parse_args(arguments)
    report = soak(options.rate, options.seconds, options.seed, options.durability)
    print(report)
    for fault in report.verdict.faults:
        print(f"FAULT: {fault}")
    return 1 if report.verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
