"""A journal with its books and destinations, without receivers and processors."""

from __future__ import annotations

import random
import threading
from concurrent.futures import Future

from spanmill.clock import Clock, SystemClock
from spanmill.exporters.otlp.destination import OtlpDestination
from spanmill.exporters.otlp.factory import build_destination
from spanmill.exporters.otlp.settings import DestinationSettings
from spanmill.exporters.otlp.signals import TRACES, OtlpSignal
from spanmill.journal.dead_letters import DeadLetters
from spanmill.journal.log import Entry, Record
from spanmill.journal.memory import MemoryJournal
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Values
from spanmill.telemetry import EXPORT_OUTCOMES, Telemetry

TIMEOUT = 20.0


class House:
    """Accepts payloads, counts them as a processor would, and reads the books as a scrape does."""

    def __init__(self, *names: str, clock: Clock | None = None, seed: int = 1) -> None:
        self.clock = clock or SystemClock()
        self.registry = Registry(self.clock)
        self.telemetry = Telemetry(self.registry, names, names)
        self.journal: MemoryJournal[None] = MemoryJournal(self.clock, self.registry.lock)
        self.names = names
        self.settings: list[DestinationSettings] = []
        self.accepted: list[bytes] = []
        self._rng = random.Random(seed)
        self._destinations: list[OtlpDestination] = []

    def destination(
        self, settings: DestinationSettings, dead_letters: DeadLetters | None = None
    ) -> OtlpDestination:
        """With `dead_letters` it behaves as with a journal on disk."""
        destination = build_destination(
            settings,
            self.journal,
            self.telemetry,
            self.registry,
            clock=self.clock,
            rng=self._rng,
            dead_letters=dead_letters,
        )
        self._destinations.append(destination)
        self.settings.append(settings)
        return destination

    def open(self, *settings: DestinationSettings) -> None:
        """Start the journal, and destinations with these settings."""
        for each in settings:
            self.destination(each)
        self.journal.start(self._apply)
        for destination in self._destinations:
            destination.start()

    def submit(
        self, payload: bytes, items: int, signal: OtlpSignal = TRACES
    ) -> Future[Record[None]]:
        return self.journal.submit(Entry(payload, signal.signal, "test", items, None))

    def accept(self, payload: bytes, items: int, signal: OtlpSignal = TRACES) -> None:
        self.submit(payload, items, signal).result(TIMEOUT)

    def close(self, seconds: float = TIMEOUT) -> None:
        self.journal.close()
        deadline = self.clock.monotonic() + seconds
        for destination in self._destinations:
            destination.begin_stop(deadline)
        for destination in self._destinations:
            destination.finish_stop()

    def scrape(self) -> dict[tuple[str, tuple[str, ...]], int]:
        """Every value of the books by (metric, label values), at one moment."""
        return {
            (family.family.name, labels): int(value)
            for family in self.registry.snapshot()
            if isinstance(family.data, Values)
            for labels, value in zip(family.labels, family.data.values, strict=True)
            if labels is not None
        }

    def outcomes(self, name: str = "tempo", signal: OtlpSignal = TRACES) -> dict[str, int]:
        """What became of the items for a destination, without outcomes that never happened.

        Fails where they and what is queued are not all that was accepted.
        """
        scrape = self.scrape()
        items = "spans" if signal is TRACES else "metric_points"
        found = {
            outcome: scrape[f"spanmill_export_{items}_total", (name, outcome)]
            for outcome in EXPORT_OUTCOMES
        }
        found["queued"] = scrape[f"spanmill_export_queued_{items}", (name,)]
        accepted = scrape[f"spanmill_{items}_accepted_total", ("counted_own",)]
        assert sum(found.values()) == accepted, (found, accepted)
        return {outcome: number for outcome, number in found.items() if number}

    def settled(self, name: str = "tempo", signal: OtlpSignal = TRACES) -> bool:
        """Whether nothing is queued for a destination."""
        return "queued" not in self.outcomes(name, signal)

    def _apply(self, record: Record[None]) -> None:
        self.accepted.append(record.entry.payload)
        books = self.telemetry.books_of(record.entry.signal)
        books.accepted.add(record.entry.items, "counted_own")


class Scraper:
    """A thread that reads the books again and again, and keeps what was wrong with them."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._stopped = threading.Event()
        self._wrong: list[AssertionError] = []
        self.scrapes = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()
        if self._wrong:
            raise self._wrong[0]

    def _run(self) -> None:
        while not self._stopped.is_set() and not self._wrong:
            try:
                for settings in self._house.settings:
                    self._house.outcomes(settings.name, settings.signal)
            except AssertionError as error:
                self._wrong.append(error)
            self.scrapes += 1
