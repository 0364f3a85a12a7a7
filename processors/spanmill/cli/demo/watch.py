"""The loop of the demo: scrape, look after the processes, tell payment, show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from spanmill.cli.demo import incident
from spanmill.cli.demo.ports import Endpoints
from spanmill.cli.demo.scrape import Scrape
from spanmill.cli.demo.view import View, edges_in_order, in_order
from spanmill.cli.demo.window import Window
from spanmill.clock import Clock

TICK = 1.0  # seconds between two scrapes
SILENCE = 5.0  # seconds without a scrape until the screen says so

ReadMetrics = Callable[[str, float], Scrape | None]


class Mortal(Protocol):
    """A process, as far as the loop looks after it."""

    @property
    def name(self) -> str:
        """The name that the user knows it by."""
        ...

    def obituary(self) -> str | None:
        """One sentence once it has ended; None while it lives."""
        ...


class Waits(Protocol):
    """Something that can cut a wait short."""

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds`; True as soon as the end is wished."""
        ...


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


class Watch:
    """What the metrics page and the processes have said since the traffic started.

    `notices` are the obituaries so far; `elapsed` is in seconds.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        processor: Mortal,
        services: Sequence[Mortal],
        let_payment_fail: Callable[[bool], None],
        read_metrics: ReadMetrics,
        clock: Clock,
    ) -> None:
        self.notices: list[str] = []
        self.elapsed = 0.0
        self._endpoints = endpoints
        self._processor = processor
        self._services = services
        self._let_payment_fail = let_payment_fail
        self._read_metrics = read_metrics
        self._clock = clock
        self._window = Window()
        self._start = clock.monotonic()
        self._dead: set[str] = set()
        self._failing = False

    @property
    def latest(self) -> Scrape | None:
        """The newest reading of the metrics page."""
        return self._window.latest

    def run(self, display: Display, interruption: Waits, seconds: float | None) -> None:
        """Show a view every second until the user, `seconds` or the processor's death end it."""
        last = math.inf if seconds is None else self._start + seconds
        due = self._start
        display.start()
        try:
            while True:
                display.update(self._look())
                now = self._clock.monotonic()
                if now >= last or self._processor.name in self._dead:
                    return
                # After a slow scrape the next one is due a whole tick later, not at once.
                due = max(due, now - TICK) + TICK
                if interruption.wait(min(due, last) - now):
                    return
        finally:
            display.stop()

    def read(self) -> None:
        """Scrape the metrics page, if it answers."""
        scrape = self._read_metrics(self._endpoints.scrape, self._clock.monotonic())
        if scrape is not None:
            self._window.add(scrape)

    def _look(self) -> View:
        self.elapsed = self._clock.monotonic() - self._start
        phase = incident.phase_at(self.elapsed)
        if phase.failing != self._failing:
            self._failing = phase.failing
            self._let_payment_fail(phase.failing)
        self.read()
        self._count_the_dead()
        return self._view(phase)

    def _count_the_dead(self) -> None:
        for process in (*self._services, self._processor):
            obituary = None if process.name in self._dead else process.obituary()
            if obituary is not None:
                self._dead.add(process.name)
                self.notices.append(obituary)

    def _view(self, phase: incident.Phase) -> View:
        latest = self._window.latest
        silence = self._clock.monotonic() - (self._start if latest is None else latest.at)
        silent = silence > SILENCE
        return View(
            endpoints=self._endpoints,
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
            notices=tuple(self.notices),
            edges=edges_in_order(self._window.edges()),
        )
