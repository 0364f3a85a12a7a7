"""One run: a fresh process takes a load, and its CPU time, memory and books are read."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from benchmarks.ingest.books import Books, received, scrape
from benchmarks.ingest.load import PLAINLY, Client, Sending
from benchmarks.ingest.payloads import Payloads, Request
from benchmarks.ingest.process import MeasuredProcess, wait_until
from benchmarks.ingest.targets import Target, free_ports

_DELIVERY_DEADLINE: Final = 60.0
_COUNT_DEADLINE: Final = 20.0  # the Collector hands over its counts every 5 s
_PROJECT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Workload:
    """What is done with the spans, how many a request carries, and how they are sent."""

    batch: int
    forward: bool
    sending: Sending = PLAINLY
    label_sets: int | None = None
    """None: those that were recorded."""

    @property
    def path(self) -> str:
        """The way that the spans take."""
        return "derive + forward" if self.forward else "derive"

    def __str__(self) -> str:
        label_sets = "" if self.label_sets is None else f", {self.label_sets} label sets"
        return f"{self.path}, {self.sending}, {self.batch} a request{label_sets}"


@dataclass(frozen=True, slots=True)
class Procedure:
    """How a run goes: passes over the recording, requests in flight, and who runs where."""

    passes: int
    in_flight: int
    target_cpus: frozenset[int]
    load_cpus: frozenset[int]


@dataclass(frozen=True, slots=True)
class Measurement:
    """CPU seconds for `spans`; seconds to the answer and from the start until it is ready;
    resident bytes before the load and at most.

    The books cover the warm-up too, the other figures do not, except for the peak.
    """

    spans: int
    cpu_seconds: float
    ack_p50: float
    ack_p99: float
    ready_seconds: float
    idle_bytes: int
    peak_bytes: int
    books: Books
    load_seconds: float = 0.0
    """From the first request to the last answer."""

    @property
    def microseconds_a_span(self) -> float:
        """CPU time that a span cost the process."""
        return self.cpu_seconds / self.spans * 1e6


def measure(
    target: Target, workload: Workload, payloads: Payloads, procedure: Procedure
) -> Measurement:
    """Start the target, warm it up until every label set was there, and measure it then.

    CPU time is read once everything is acknowledged and, where it is forwarded, delivered. The
    peak of memory includes the scrape that the books are read from.
    """
    warm_up = [r for _ in range(payloads.warm_up_passes) for r in payloads.next_pass()]
    load = [request for _ in range(procedure.passes) for request in payloads.next_pass()]
    with ExitStack() as running:
        folder = Path(running.enter_context(TemporaryDirectory(prefix="spanmill-benchmark-")))
        sink = _start_sink(folder, procedure, running) if workload.forward else None
        launch = target.prepare(folder, sink)
        process = MeasuredProcess(
            launch.command, folder / "target.log", procedure.target_cpus, launch.environment
        )
        running.callback(process.stop)
        ready_seconds = process.wait_until_ready(launch.ready_url)
        process.wait_until_idle()
        idle_bytes = process.resident_bytes()

        with Client(launch.grpc, launch.http_url, workload.sending, procedure.in_flight) as client:
            warm = client.send(warm_up)
            _await_delivery(sink, _spans(warm_up) if not warm.failures else 0)
            before, begun = process.cpu_seconds(), time.monotonic()
            answers = client.send(load)
            load_seconds = time.monotonic() - begun
            sent = _spans(warm_up) + _spans(load)
            failures = (*warm.failures, *answers.failures)
            _await_delivery(sink, sent if not failures else 0)
            cpu_seconds = process.cpu_seconds() - before

        p50, p99 = np.percentile(answers.seconds, (50, 99)) if answers.seconds else (0.0, 0.0)
        return Measurement(
            spans=_spans(load),
            cpu_seconds=cpu_seconds,
            ack_p50=float(p50),
            ack_p99=float(p99),
            ready_seconds=ready_seconds,
            idle_bytes=idle_bytes,
            books=Books(
                sent=sent,
                acknowledged=warm.acknowledged + answers.acknowledged,
                counted=_counted(launch.scrape_url, target.calls, sent if not failures else 0),
                delivered=None if sink is None else received(sink),
                failures=failures,
            ),
            peak_bytes=process.peak_resident_bytes(),
            load_seconds=load_seconds,
        )


def _start_sink(folder: Path, procedure: Procedure, running: ExitStack) -> int:
    (port,) = free_ports(1)
    sink = MeasuredProcess(
        [sys.executable, "-m", "benchmarks.ingest.sink", str(port)],
        folder / "sink.log",
        procedure.load_cpus,
        {"PYTHONPATH": os.pathsep.join([str(_PROJECT), os.environ.get("PYTHONPATH", "")])},
    )
    running.callback(sink.stop)
    sink.wait_until_ready(f"http://127.0.0.1:{port}/received")
    return port


def _await_delivery(sink: int | None, spans: int) -> None:
    if sink is not None:
        wait_until(lambda: received(sink).spans >= spans, _DELIVERY_DEADLINE)


def _counted(url: str, counters: Sequence[str], spans: int) -> dict[str, float]:
    counted: dict[str, float] = {}

    def complete() -> bool:
        counted.update(scrape(url, counters))
        return min(counted.values()) >= spans

    if counters:
        wait_until(complete, _COUNT_DEADLINE)
    return counted


def _spans(requests: Sequence[Request]) -> int:
    return sum(request.spans for request in requests)
