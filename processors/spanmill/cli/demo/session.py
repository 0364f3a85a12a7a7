"""One run of the demo: everything comes up, is watched, and goes down in order."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from spanmill.cli.demo import children, incident, processes
from spanmill.cli.demo.children import Child
from spanmill.cli.demo.interruption import Interruption
from spanmill.cli.demo.load import Load
from spanmill.cli.demo.ports import Endpoints
from spanmill.cli.demo.routing import HEALTH_PATH
from spanmill.cli.demo.scrape import Scrape
from spanmill.cli.demo.service import FAIL, RECOVER
from spanmill.cli.demo.shop import SERVICES
from spanmill.cli.demo.view import View, in_order
from spanmill.cli.demo.window import Window
from spanmill.clock import Clock

_TICK = 1.0  # seconds between two scrapes
_SILENCE = 5.0  # seconds without a scrape until the screen says so
_LAST_CUSTOMERS = 3.0  # seconds for the requests in flight at the end
_LAST_SPANS = 5.0  # seconds for the services to export what they hold
_PROCESSOR_END = 5.0  # seconds for the processor to end

ReadMetrics = Callable[[str, float], Scrape | None]


class Display(Protocol):
    """Where the view goes."""

    def start(self) -> None:
        """Before the first view."""
        ...

    def update(self, view: View) -> None:
        """Show a view."""
        ...

    def stop(self) -> None:
        """After the last view."""
        ...


class Session:
    """The processes of one run and what they have shown so far."""

    def __init__(
        self,
        ports: Mapping[str, int],
        directory: Path,
        *,
        read_metrics: ReadMetrics,
        clock: Clock,
        interruption: Interruption,
    ) -> None:
        self.endpoints = Endpoints.on(ports)
        self.notices: list[str] = []
        self.elapsed = 0.0
        self._ports = ports
        self._directory = directory
        self._read_metrics = read_metrics
        self._clock = clock
        self._interruption = interruption
        self._window = Window()
        self._processor: Child | None = None
        self._services: dict[str, Child] = {}
        self._dead: set[str] = set()
        self._load: Load | None = None
        self._failing = False

    @property
    def latest(self) -> Scrape | None:
        """The newest reading of the metrics page."""
        return self._window.latest

    def start(self) -> bool:
        """Start the processor, the services and the traffic; False if the user ended it before.

        StartError if something does not come up.
        """
        self._processor = processes.start_processor(self._ports, self._directory)
        if not self._is_up(self._processor, self.endpoints.ready):
            return False
        started = processes.start_services(self.endpoints, self._directory)
        self._services = {name: child for name, (child, _) in started.items()}
        for child, url in started.values():
            if not self._is_up(child, url + HEALTH_PATH):
                return False
        _, storefront = started[SERVICES[0].name]
        self._load = Load(storefront, random.Random())
        self._load.start()
        return True

    def watch(self, display: Display, seconds: float | None) -> None:
        """Scrape and show every second, until the user, `seconds` or the processor end it."""
        start = self._clock.monotonic()
        due = start
        display.start()
        try:
            while True:
                self.elapsed = self._clock.monotonic() - start
                phase = incident.phase_at(self.elapsed)
                self._tell_payment(phase.failing)
                self._read()
                display.update(self._view(phase))
                if seconds is not None and self.elapsed >= seconds:
                    return
                if self._processor is not None and self._processor.name in self._dead:
                    return
                # After a slow scrape the next one is due a whole tick later, not at once.
                due = max(due, self._clock.monotonic() - _TICK) + _TICK
                last = float("inf") if seconds is None else start + seconds
                if self._interruption.wait(min(due, last) - self._clock.monotonic()):
                    return
        finally:
            display.stop()

    def stop(self) -> list[str]:
        """End the traffic, the services, then the processor; in between, read the last counts.

        A line for each process that had to be killed.
        """
        if self._load is not None:
            self._load.stop(_LAST_CUSTOMERS)
        said = self._end(list(self._services.values()), _LAST_SPANS)
        if self._processor is not None:
            if self._load is not None:
                self._read_scrape()
            said += self._end([self._processor], _PROCESSOR_END)
        return said

    def _is_up(self, child: Child, url: str) -> bool:
        return processes.wait_until_up(
            child,
            url,
            answers=processes.answers_200,
            clock=self._clock,
            interruption=self._interruption,
        )

    def _end(self, ending: Sequence[Child], timeout: float) -> list[str]:
        killed = children.stop(ending, timeout, self._clock)
        return [f"{name} did not end within {timeout:.0f} s and was killed" for name in killed]

    def _tell_payment(self, failing: bool) -> None:
        if failing != self._failing:
            self._failing = failing
            self._services["payment"].tell(FAIL if failing else RECOVER)

    def _read(self) -> None:
        self._read_scrape()
        everyone = [*self._services.values(), *([self._processor] if self._processor else [])]
        for child in everyone:
            obituary = None if child.name in self._dead else child.obituary()
            if obituary is not None:
                self._dead.add(child.name)
                self.notices.append(obituary)

    def _read_scrape(self) -> None:
        scrape = self._read_metrics(self.endpoints.scrape, self._clock.monotonic())
        if scrape is not None:
            self._window.add(scrape)

    def _view(self, phase: incident.Phase) -> View:
        latest = self._window.latest
        silence = self.elapsed if latest is None else self._clock.monotonic() - latest.at
        silent = silence > _SILENCE
        return View(
            endpoints=self.endpoints,
            elapsed=self.elapsed,
            window=self._window.seconds,
            story=(
                f"the metrics page has not answered for {silence:.0f} s"
                if silent
                else incident.describe(phase)
            ),
            alarm=phase.failing or silent,
            rows=in_order(self._window.rows()),
            scrape=latest,
            notices=self.notices,
        )
