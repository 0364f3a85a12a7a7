"""A process with span metrics of many label sets behind a scrape endpoint, and its pauses."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Final

from spanmill.cli.allocator import Allocator
from spanmill.clock import SystemClock
from spanmill.config.model import Config
from spanmill.exporters.scrape import ScrapeApp
from spanmill.http_server import HttpServer
from spanmill.processors.factory import build_processors
from spanmill.series.registry import Registry
from spanmill.spans.installed import load_decoder
from spanmill.telemetry import Telemetry

_PROBE_SECONDS: Final = 0.001
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Pauses:
    """The longest while a scrape ran, in milliseconds.

    `held`: that anybody but the probe held the registry's lock; `lock`: that a thread waited
    which takes it every millisecond; `gil`: that a thread came late which sleeps a millisecond.
    """

    held: float
    lock: float
    gil: float


@dataclass(frozen=True, slots=True)
class Filled:
    """A process that has what was sent; MB are millions of bytes of resident memory."""

    url: str
    series: int
    rss: float
    empty_rss: float


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen of a scrape from inside."""

    pauses: Pauses
    peak_rss: float
    rss: float


class TimedLock:
    """The registry's lock, with the longest time that it was held."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._since = 0.0
        self.longest = 0.0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it, as one takes a lock."""
        taken = self._lock.acquire(blocking, timeout)
        if taken:
            self._depth += 1
            if self._depth == 1:
                self._since = time.perf_counter()
        return taken

    def release(self) -> None:
        """Give it back."""
        self._depth -= 1
        if not self._depth:
            self.longest = max(self.longest, time.perf_counter() - self._since)
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class Probes:
    """Two threads that want what a receiver wants: the lock, and the GIL."""

    def __init__(self, lock: TimedLock) -> None:
        self._lock = lock
        self._stop = threading.Event()
        self._waited = {"lock": 0.0, "gil": 0.0}
        self._threads = [
            threading.Thread(target=self._want_lock, daemon=True),
            threading.Thread(target=self._want_gil, daemon=True),
        ]
        lock.longest = 0.0
        for thread in self._threads:
            thread.start()

    def stop(self) -> Pauses:
        """The longest pauses since the start."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        held = self._lock.longest
        return Pauses(held * 1e3, self._waited["lock"] * 1e3, self._waited["gil"] * 1e3)

    def _want_lock(self) -> None:
        while not self._stop.is_set():
            time.sleep(_PROBE_SECONDS)
            begin = time.perf_counter()
            with self._lock:
                waited = time.perf_counter() - begin
            self._waited["lock"] = max(self._waited["lock"], waited)

    def _want_gil(self) -> None:
        while not self._stop.is_set():
            begin = time.perf_counter()
            time.sleep(_PROBE_SECONDS)
            late = time.perf_counter() - begin - _PROBE_SECONDS
            self._waited["gil"] = max(self._waited["gil"], late)


def serve(connection: Connection, settings: Mapping[str, object]) -> None:
    """Take requests until an empty one, then serve, and answer `begin` and `end` of a watch."""
    allocator = Allocator()
    allocator.configure()
    registry = Registry(SystemClock())
    lock = TimedLock()
    registry.lock = lock  # type: ignore[misc, assignment] # before anybody else has it
    config = Config.model_validate(settings)
    telemetry = Telemetry(registry)
    processors = build_processors(config, registry, telemetry)
    attributes = sorted({key for processor in processors for key in processor.attributes})
    decoder = load_decoder(attributes)
    empty = _memory("VmRSS")
    arrival_ns = time.time_ns()
    while body := connection.recv_bytes():
        batch = decoder.decode(body).batch
        with registry.lock:
            for processor in processors:
                processor.observe(batch.arrived(arrival_ns))
    allocator.settle()
    allocator.start()
    app = ScrapeApp(registry, lambda: True, created_timestamps=False)
    server = HttpServer(app, "127.0.0.1", 0, "scrape endpoint")
    server.bind()
    server.start()
    series = len(registry.limited()["span_metrics"])
    url = f"http://127.0.0.1:{server.port}/metrics"
    connection.send(Filled(url, series, _memory("VmRSS"), empty))
    while connection.recv() == "begin":
        Path("/proc/self/clear_refs").write_text("5")  # begins VmHWM anew
        probes = Probes(lock)
        connection.send("watching")
        connection.recv()
        connection.send(Watched(probes.stop(), _memory("VmHWM"), _memory("VmRSS")))
    server.stop(1)


def watch_begins(connection: Connection) -> None:
    """Ask the process to watch itself."""
    connection.send("begin")
    connection.recv()


def watch_ends(connection: Connection) -> Watched:
    """What it has seen."""
    connection.send("end")
    found: Watched = connection.recv()
    return found


def end(process: BaseProcess, connection: Connection) -> None:
    """Let the process end."""
    connection.send("stop")
    process.join(10)


def _memory(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / _MB
    raise KeyError(name)
