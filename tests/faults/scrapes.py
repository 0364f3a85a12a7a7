"""A watch over /metrics: at every scrape the books balance, and no counter falls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import urllib3

_ACCEPT: Final = "application/openmetrics-text; version=1.0.0"
_TIMEOUT: Final = 10.0
_MOST_TOLD: Final = 20

OF_THE_PROCESS: Final = (
    "process_",
    "spanmill_ack_duration_seconds",
    "spanmill_dead_letters_",
    "spanmill_decoder_irregular_requests",
    "spanmill_export_duration_seconds",
    "spanmill_export_retries",
    "spanmill_journal_",
    "spanmill_processor_",
    "spanmill_push",
    "spanmill_receiver_requests",
    "spanmill_admission_",
    "spanmill_checkpoint",
)
"""Beginnings of families that are about one process, and begin at 0 with each."""


_REFUSED: Final = 'outcome="refused"'
"""What was refused left no record: it begins at 0 with each process, too."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """A scrape: samples by name and labels, of counters, of created stamps, of the rest."""

    cumulative: Mapping[str, float]
    created: Mapping[str, float]
    others: Mapping[str, float]

    def sum(self, family: str, *parts: str) -> float:
        """The sum of a family's samples that have all these parts in their labels."""
        return sum(
            value
            for samples in (self.cumulative, self.others)
            for key, value in samples.items()
            if key.partition("{")[0] == family and all(part in key for part in parts)
        )


def parse(text: str) -> Scrape:
    """The samples of an exposition in OpenMetrics text."""
    cumulative: dict[str, float] = {}
    created: dict[str, float] = {}
    others: dict[str, float] = {}
    kind, family = "", ""
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
        elif not line.startswith("#"):
            key, _, value = line.partition(" # ")[0].rpartition(" ")
            name = key.partition("{")[0]
            if kind in {"counter", "histogram"} and name == f"{family}_created":
                created[key] = float(value)
            elif kind in {"counter", "histogram"}:
                cumulative[key] = float(value)
            else:
                others[key] = float(value)
    return Scrape(cumulative, created, others)


@dataclass(slots=True)
class Watched:
    """What a watch has seen: how often it scraped, and what should not have been."""

    scrapes: int = 0
    faults: list[str] = field(default_factory=list)


class Watch:
    """Scrapes again and again in a thread, and holds each scrape against those before it.

    `acknowledged` and `given` count spans at this moment: what is in the scrape lies between.
    """

    def __init__(
        self,
        port: int,
        acknowledged: Callable[[], int],
        given: Callable[[], int],
        pause: float = 0.05,
    ) -> None:
        self._url = f"http://127.0.0.1:{port}/metrics"
        self._acknowledged = acknowledged
        self._given = given
        self._pause = pause
        self._pool = urllib3.PoolManager(retries=False)
        self._highest: dict[str, float] = {}
        self._created: dict[str, float] = {}
        self._ending = threading.Event()
        self._turn = threading.Lock()
        self._told: set[str] = set()
        self.watched = Watched()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to scrape."""
        self._thread.start()

    def stop(self) -> None:
        """Scrape no more."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    def scrape(self) -> Scrape | None:
        """Look once, and judge; None where nobody answers."""
        with self._turn:
            at_least = self._acknowledged()
            try:
                answer = self._pool.request(
                    "GET", self._url, headers={"accept": _ACCEPT}, timeout=_TIMEOUT
                )
            except urllib3.exceptions.HTTPError:
                return None
            text = answer.data.decode()
            if answer.status != 200 or not text.endswith("# EOF\n"):
                return None
            scrape = parse(text)
            self.watched.scrapes += 1
            self._judge(scrape, at_least, self._given())
            return scrape

    def _run(self) -> None:
        while not self._ending.wait(self._pause):
            self.scrape()

    def _judge(self, scrape: Scrape, at_least: int, at_most: int) -> None:
        self._judge_books(scrape)
        accepted = scrape.sum("spanmill_spans_received_total", 'outcome="accepted"')
        if not at_least <= accepted <= at_most:
            self._tell(
                "accepted",
                f"{accepted:.0f} spans accepted, {at_least} acknowledged, {at_most} sent",
            )
        for key, value in scrape.created.items():
            if not _of_the_process(key) and self._created.setdefault(key, value) != value:
                self._tell(key, f"{key} was {self._created[key]}, is {value}")
        for key, before in self._highest.items():
            now = scrape.cumulative.get(key, 0.0)
            if now < before:
                self._tell(key, f"{key} fell from {before} to {now}")
        for key, value in scrape.cumulative.items():
            if not _of_the_process(key):
                self._highest[key] = value

    def _judge_books(self, scrape: Scrape) -> None:
        for items in ("spans", "metric_points"):
            accepted = scrape.sum(f"spanmill_{items}_received_total", 'outcome="accepted"')
            counted = scrape.sum(f"spanmill_{items}_accepted_total")
            if accepted != counted:
                self._tell(f"processing {items}", f"{accepted} {items} accepted, {counted} counted")
        accepted = scrape.sum("spanmill_spans_received_total", 'outcome="accepted"')
        for exporter in {_exporter(key) for key in scrape.others if _is_queue(key)}:
            label = f'exporter="{exporter}"'
            ended = scrape.sum("spanmill_export_spans_total", label)
            queued = scrape.sum("spanmill_export_queued_spans", label)
            if accepted != ended + queued:
                self._tell(
                    exporter, f"{exporter}: {accepted} accepted, {ended} ended, {queued} queued"
                )

    def _tell(self, what: str, fault: str) -> None:
        """Each fault once: it would come with every scrape from then on."""
        if what not in self._told and len(self.watched.faults) < _MOST_TOLD:
            self._told.add(what)
            self.watched.faults.append(f"scrape {self.watched.scrapes}: {fault}")


def _of_the_process(key: str) -> bool:
    return key.startswith(OF_THE_PROCESS) or _REFUSED in key


def _is_queue(key: str) -> bool:
    return key.startswith("spanmill_export_queued_spans{")


def _exporter(key: str) -> str:
    return key.partition('exporter="')[2].partition('"')[0]
