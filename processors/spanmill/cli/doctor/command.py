"""The command: what is asked in which order, and the line that each check gives."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Final

from spanmill.cli.doctor.access import bearer, scrape_site
from spanmill.cli.doctor.book_checks import check_books
from spanmill.cli.doctor.clock_checks import check_clock, check_lateness
from spanmill.cli.doctor.destination_checks import check_destinations
from spanmill.cli.doctor.disk_checks import check_disk
from spanmill.cli.doctor.finding import Finding, Level, fail, ok
from spanmill.cli.doctor.journal_checks import check_journal, check_load
from spanmill.cli.doctor.page import NoAnswerError, Site
from spanmill.cli.doctor.port_checks import check_ports
from spanmill.cli.doctor.process_checks import check_process
from spanmill.cli.doctor.query_checks import check_grafana, check_jaeger, check_prometheus
from spanmill.cli.doctor.samples import OWN, Samples
from spanmill.clock import Clock, SystemClock
from spanmill.config.load import load_config
from spanmill.config.metrics_token import METRICS_AUTH_TOKEN
from spanmill.config.model import Config
from spanmill.config.state import StateConfig

_TEXT: Final = "text/plain; version=0.0.4"
_GRAFANA_TOKEN: Final = "GRAFANA_TOKEN"
_SECTIONS: Final = ("service_graph", "percentiles", "exemplars")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add(
        "--config",
        metavar="FILE",
        type=Path,
        help="the configuration that the process runs with: ports, destinations and disk are "
        "checked by it",
    )
    add(
        "--url",
        type=_url,
        help=f"the scrape endpoint (default: that of the configuration); "
        f"{METRICS_AUTH_TOKEN} in the environment is sent to it",
    )
    add(
        "--prometheus",
        metavar="URL",
        type=_url,
        help="does Prometheus have what Grafana and Jaeger ask for?",
    )
    add(
        "--grafana",
        metavar="URL",
        type=_url,
        help=f"does Grafana's data source find spanmill? {_GRAFANA_TOKEN} in the environment is "
        "sent to it",
    )
    add("--jaeger", metavar="URL", type=_url, help="does Jaeger's Monitor tab find rates?")
    add(
        "--seconds",
        type=_seconds,
        default=2.0,
        help="how long to look whether destinations and receivers make progress "
        "(default: %(default)g)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each check; 0 where all is well, 1 with a warning, 2 with a failure."""
    config = None
    if arguments.config is not None:
        config = load_config(arguments.config, os.environ).config
    try:
        site = scrape_site(arguments.url, config, os.environ)
    except NoAnswerError as error:
        print(fail("metrics", str(error), "make it readable for this user, too"))
        return Level.FAIL.value
    visit = Visit(
        site=site,
        config=config,
        prometheus=arguments.prometheus,
        grafana=arguments.grafana,
        jaeger=arguments.jaeger,
        seconds=arguments.seconds,
    )
    worst = Level.OK
    for finding in visit.findings(os.environ, SystemClock()):
        print(finding)
        sys.stdout.flush()
        worst = max(worst, finding.level)
    return worst.value


@dataclass(frozen=True, slots=True)
class Visit:
    """What is looked at: a live process, and those who read its metrics where they are named."""

    site: Site
    config: Config | None
    prometheus: str | None = None
    grafana: str | None = None
    jaeger: str | None = None
    seconds: float = 2.0

    def findings(self, environment: Mapping[str, str], clock: Clock) -> Iterator[Finding]:
        """Each finding as soon as it is made."""
        before = yield from self._reach(clock)
        if before is None:
            return
        # Progress is what is looked for: a moment later the counters must have gone on.
        Event().wait(self.seconds)
        now = self._scrape()
        if isinstance(now, str):
            yield fail("metrics", now, "it answered a moment ago: the log says why it ended")
            return
        yield from check_process(now, version("spanmill"))
        yield from check_books(now)
        if self.config is not None:
            yield from check_ports(self.config, clock.time_ns() / 1e9)
        yield from check_load(before, now)
        state = StateConfig() if self.config is None else self.config.state
        yield from check_journal(now, state, clock.time_ns() / 1e9)
        if self.config is not None:
            yield from check_disk(now, state, Path.cwd())
        yield from check_lateness(now)
        yield from check_destinations(before, now, self.config)
        yield from self._readers(now, environment)

    def _reach(self, clock: Clock) -> Generator[Finding, None, Samples | None]:
        """Whether it lives, is ready, and gives metrics; returns these, or None."""
        try:
            ready = self.site.get("/readyz")
        except NoAnswerError as error:
            yield fail(
                "process",
                f"nothing answers at {self.site.url}: {error}",
                "start `spanmill run`, or name its scrape endpoint with --url; one that starts "
                "and still reads its journal takes the connection and says nothing",
            )
            return None
        if ready.status == 503:
            yield fail(
                "process",
                "lives, but is not ready",
                "it starts (the log shows how far it has read its journal), or it ends",
            )
            return None
        if ready.status != 200:
            yield fail(
                "process",
                f"{self.site.url}/readyz answers {ready.status}",
                "is it spanmill's scrape endpoint?",
            )
            return None
        yield ok("process", f"ready at {self.site.url}")
        yield from check_clock(ready.headers.get("date"), clock.time_ns() / 1e9)
        samples = self._scrape()
        if isinstance(samples, str):
            yield fail("metrics", samples, f"put the token of the scrape into {METRICS_AUTH_TOKEN}")
            return None
        return samples

    def _scrape(self) -> Samples | str:
        """The samples, or why there are none."""
        try:
            lines = self.site.lines("/metrics", _TEXT, OWN)
        except NoAnswerError as error:
            return str(error)
        return f"/metrics answers {lines}" if isinstance(lines, int) else Samples.parse(lines)

    def _readers(self, now: Samples, environment: Mapping[str, str]) -> Iterator[Finding]:
        off = [
            section
            for section in _SECTIONS
            if self.config is not None and getattr(self.config, section) is None
        ]
        spans = now.sum("spanmill_spans_received_total", outcome="accepted")
        if self.prometheus is not None:
            yield from check_prometheus(Site(self.prometheus), off, spans)
        if self.grafana is not None:
            headers = bearer(environment.get(_GRAFANA_TOKEN))
            yield from check_grafana(Site(self.grafana, headers))
        if self.jaeger is not None:
            yield from check_jaeger(Site(self.jaeger))


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 60:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 60")
    return seconds


def _url(text: str) -> str:
    if not text.lower().startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} doesn't begin with http:// or https://")
    return text.rstrip("/")
