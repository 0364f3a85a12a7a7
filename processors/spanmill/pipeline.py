"""What is wired to what, and in which order it starts and stops."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from typing import Final

from spanmill.books import check_books
from spanmill.checkpoints import Checkpoints
from spanmill.clock import Clock
from spanmill.config.exposure import warn_of_exposures
from spanmill.config.model import Config
from spanmill.derivation import Derivation
from spanmill.exporters.otlp.factory import (
    BACKLOG_IN_MEMORY,
    BACKLOG_ON_DISK,
    build_destinations,
)
from spanmill.exporters.otlp_metrics.factory import build_pushers
from spanmill.exporters.scrape_server import build_scrape_server
from spanmill.journal.checkpoint_files import CheckpointFiles
from spanmill.journal.cursors import DiskCursors
from spanmill.journal.dead_letters import DeadLetters
from spanmill.journal.disk import DiskJournal, DiskSettings
from spanmill.journal.files import RealFiles
from spanmill.journal.log import Entry, Journal, Signal
from spanmill.journal.memory import MemoryJournal
from spanmill.journal_health import declare_journal, declare_syncs
from spanmill.kernels import ALL_KERNELS, missing_kernels
from spanmill.receivers.factory import build_receivers
from spanmill.receivers.intake import Intake
from spanmill.receivers.once import Once
from spanmill.receivers.signals import Decoded
from spanmill.recovery import Recovery
from spanmill.series.registry import Registry
from spanmill.telemetry import (
    Telemetry,
    declare_build,
    declare_irregular_requests,
    declare_kernels,
    declare_process,
)

_log = logging.getLogger(__name__)

_TICK_SECONDS: Final = 10.0
_CHECKPOINTS_IN_A_JOURNAL: Final = 8
"""A checkpoint is due before a load fills the journal with what a start would have to read."""


class Pipeline:
    """The whole processor: receivers, journal, processors, series, exporters.

    A request travels: receiver → decoder → journal → `_apply` on the journal's thread (in the
    journal's order, under the registry's lock) → answer. Destinations read the journal with
    cursors of their own; a scrape reads the registry.
    """

    def __init__(self, config: Config, version: str, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._registry = Registry(clock)
        exporters = config.exporters
        destinations = (
            tuple(exporters.otlp_traces),
            tuple(name for name, d in exporters.otlp_metrics.items() if d.service_metrics),
        )
        self._telemetry = Telemetry(self._registry, *destinations)
        self._once = self._build_once()
        self._derivation = Derivation(config, self._registry, self._telemetry, self._once)
        decoder = self._derivation.decoder
        declare_build(self._registry, version, decoder.kind)
        self._missing_kernels = missing_kernels()
        declare_kernels(self._registry, self._missing_kernels)
        declare_irregular_requests(self._registry, lambda: decoder.irregular_requests)
        declare_process(self._registry)
        self._disk = self._build_disk_journal(version)
        self._journal: Journal[Decoded | None] = (
            MemoryJournal(clock, self._registry.lock) if self._disk is None else self._disk
        )
        self._recovery = self._build_recovery(version)
        self._destinations = build_destinations(
            exporters,
            self._journal,
            self._telemetry,
            self._registry,
            clock=clock,
            default_backlog=BACKLOG_IN_MEMORY if self._disk is None else BACKLOG_ON_DISK,
            dead_letters=self._build_dead_letters(),
        )
        self._pushers = build_pushers(
            exporters, self._registry, self._telemetry, clock, lambda: self._scrape.port
        )
        check_books(self._registry, self._telemetry, *destinations)
        self._restored = threading.Event()
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._scrape = build_scrape_server(
            exporters.prometheus,
            self._registry,
            clock,
            ready=self._ready.is_set,
            restored=self._restored.is_set,
        )
        self._intakes = [
            Intake(taken, self._journal, self._telemetry, clock, self._once)
            for taken in self._derivation.taken.values()
        ]
        self._receivers = build_receivers(
            config.receivers.otlp, self._intakes, self._registry, clock
        )
        self._ticker = threading.Thread(target=self._tick, name="ticker", daemon=True)
        self._decoder_kind = decoder.kind
        self._version = version

    @property
    def ports(self) -> dict[str, int]:
        """The port of each receiver by its name, and of the scrape endpoint as `scrape`."""
        return {"scrape": self._scrape.port} | {r.name: r.port for r in self._receivers}

    def start(self) -> None:
        """Bind every port, then start every part; raises StartError before anything runs."""
        for server in (self._scrape, *self._receivers):
            server.bind()
        warn_of_exposures(self._config)
        self._journal.open()
        self._scrape.start()
        self._restore()
        if self._recovery is None:
            self._journal.start(self._derivation.apply)
        else:
            self._journal.start(self._recovery.apply)
            self._recovery.start()
        for destination in self._destinations:
            destination.start()
        for pusher in self._pushers:
            pusher.start()
        for receiver in self._receivers:
            receiver.start()
        self._ticker.start()
        self._ready.set()
        host = self._config.exporters.prometheus.endpoint.host
        scheme = "http" if self._config.exporters.prometheus.tls is None else "https"
        _log.info(
            "ready",
            extra={
                "version": self._version,
                "decoder": self._decoder_kind,
                "kernels": _kernels(self._missing_kernels),
                "own_processors": ",".join(p.name for p in self._config.processors) or "none",
                **{receiver.name: receiver.endpoint for receiver in self._receivers},
                "metrics": f"{scheme}://{host}:{self._scrape.port}/metrics",
                "destinations": ",".join(self._config.exporters.otlp_traces) or "none",
                "metric_destinations": ",".join(self._config.exporters.otlp_metrics) or "none",
                "durability": self._config.state.durability,
                "state": self._config.state.directory if self._disk is not None else "none",
            },
        )

    def _restore(self) -> None:
        """Bring back what was derived before, and where the destinations stood."""
        if self._disk is not None and self._recovery is not None:
            if self._once is not None:
                self._once.reseed(self._disk.journal_id)
            self._recovery.restore()
        for destination in self._destinations:
            destination.recover()
        self._restored.set()

    def tick(self) -> None:
        """Put the passing of time into the journal: replay must see it as it was."""
        self._journal.submit(Entry(b"", Signal.TICK, "", 0, None))

    def stop(self) -> None:
        """Stop accepting, answer what is in flight, flush, all within `shutdown_timeout`."""
        begun = self._clock.monotonic()
        deadline = begun + self._config.shutdown_timeout
        self._ready.clear()
        self._stopping.set()
        # Half of the time for the answers, so that the other half is there for the flush.
        self._stop_receivers(begun + self._config.shutdown_timeout / 2)
        closed = self._close_journal(deadline)
        for destination in self._destinations:
            destination.begin_stop(deadline)
        for pusher in self._pushers:
            pusher.begin_stop(deadline)
        for destination in self._destinations:
            flushed = destination.finish_stop()
            lost = flushed.left and self._disk is None
            fields = {
                "destination": flushed.name,
                flushed.signal.items: flushed.items,
                "lost" if lost else "left_for_the_next_start": flushed.left,
            }
            _log.log(logging.WARNING if lost else logging.INFO, "flushed", extra=fields)
        for pusher in self._pushers:
            delivered = pusher.finish_stop()
            level = logging.INFO if delivered else logging.WARNING
            fields = {"destination": pusher.name, "delivered": delivered}
            _log.log(level, "pushed the last time", extra=fields)
        if self._disk is not None and closed:
            self._disk.release()
        self._scrape.stop(max(0.0, deadline - self._clock.monotonic()))
        accepted = int(self._telemetry.spans.received.value("accepted"))
        points = int(self._telemetry.points.received.value("accepted"))
        seconds = round(self._clock.monotonic() - begun, 2)
        fields = {"accepted_spans": accepted, "accepted_points": points, "seconds": seconds}
        _log.info("stopped", extra=fields)

    def _close_journal(self, deadline: float) -> bool:
        """Apply what was submitted and save it; whether that was done in time."""

        def close() -> None:
            self._journal.close()
            if self._recovery is not None:
                self._recovery.stop()

        closing = threading.Thread(target=close, name="close-journal", daemon=True)
        closing.start()
        closing.join(max(0.0, deadline - self._clock.monotonic()))
        if closing.is_alive():
            _log.error("the disk doesn't answer: what was acknowledged is read at the next start")
        return not closing.is_alive()

    def _stop_receivers(self, deadline: float) -> None:
        grace = max(0.0, deadline - self._clock.monotonic())
        stops = [threading.Thread(target=r.stop, args=(grace,)) for r in self._receivers]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()
        for intake in self._intakes:
            intake.abandon()

    def _tick(self) -> None:
        while not self._stopping.wait(_TICK_SECONDS):
            self.tick()

    def _build_once(self) -> Once | None:
        settings = self._config.receivers.otlp.once
        if settings is None:
            return None
        once = Once(round(settings.window * 1e9), settings.max_requests, os.urandom(16))
        self._registry.keep("once", once)
        return once

    def _build_disk_journal(self, version: str) -> DiskJournal[Decoded | None] | None:
        state = self._config.state
        if state.durability == "memory":
            return None
        return DiskJournal(
            DiskSettings(
                state.directory,
                state.durability,
                state.max_bytes,
                state.max_age,
                state.segment_bytes,
            ),
            self._clock,
            self._registry.lock,
            DiskCursors(self._registry.lock),
            version=version,
            observe_sync=declare_syncs(self._registry),
        )

    def _build_dead_letters(self) -> DeadLetters | None:
        state = self._config.state
        if state.durability == "memory":
            return None
        return DeadLetters(
            RealFiles(),
            state.directory / "dead-letters",
            self._clock,
            max_bytes=state.max_dead_letter_bytes,
            max_age=state.max_age,
        )

    def _build_recovery(self, version: str) -> Recovery | None:
        if self._disk is None:
            return None
        state = self._config.state
        files = CheckpointFiles(RealFiles(), state.directory / "checkpoints")
        checkpoints = Checkpoints(self._registry, files, version, self._clock)
        declare_journal(self._registry, self._clock, self._disk, lambda: checkpoints.saved)
        return Recovery(
            self._disk,
            checkpoints,
            self._derivation,
            self._clock,
            interval=state.checkpoint_interval,
            most_bytes=state.max_bytes // _CHECKPOINTS_IN_A_JOURNAL,
        )


def _kernels(missing: Sequence[str]) -> str:
    if len(missing) == len(ALL_KERNELS):
        return "none"
    return f"without:{','.join(missing)}" if missing else "all"
