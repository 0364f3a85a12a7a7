"""A process under load, watched, and judged at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from faults.clients import Clients, Manners
from faults.numbered import LabelSet, Numbers
from faults.process import ProcessUnderTest, wait_until
from faults.scrapes import Scrape, Watch
from faults.sink import Sink
from spanmill.clock import SystemClock

DRAIN_SECONDS: Final = 60.0
_DESTINATION: Final = "sink"


@dataclass(slots=True)
class Verdict:
    """Figures of an experiment, and everything that should not have been."""

    acknowledged_spans: int = 0
    sent_again_spans: int = 0
    duplicates_recognised: int = 0
    doubles_at_sink: int = 0
    refused_for_now: int = 0
    unanswered: int = 0
    scrapes: int = 0
    starts: int = 0
    faults: list[str] = field(default_factory=list)

    def __add__(self, other: Verdict) -> Verdict:
        """Both together."""
        return Verdict(
            self.acknowledged_spans + other.acknowledged_spans,
            self.sent_again_spans + other.sent_again_spans,
            self.duplicates_recognised + other.duplicates_recognised,
            self.doubles_at_sink + other.doubles_at_sink,
            self.refused_for_now + other.refused_for_now,
            self.unanswered + other.unanswered,
            self.scrapes + other.scrapes,
            self.starts + other.starts,
            self.faults + other.faults,
        )

    def __str__(self) -> str:
        return (
            f"{self.acknowledged_spans:,} spans acknowledged; "
            f"{self.duplicates_recognised:,} spans of requests sent again recognised, "
            f"{self.doubles_at_sink:,} came twice to the destination after an unanswered send; "
            f"{self.unanswered:,} attempts without an answer, "
            f"{self.refused_for_now:,} told to come again; "
            f"{self.starts:,} starts, {self.scrapes:,} scrapes; {len(self.faults)} faults"
        )


class Experiment:
    """spanmill, its clients, its destination, and a watch over its counters."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        state: Mapping[str, Any],
        manners: Manners | None = None,
        *,
        destinations: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        clock = SystemClock()
        self.sink = Sink()
        self.numbers = Numbers()
        sink = {
            "endpoint": f"http://127.0.0.1:{self.sink.port}",
            "retry": {"initial_interval": "50ms", "max_interval": "500ms"},
        }
        self.process = ProcessUnderTest(
            folder,
            {
                "exporters": {"otlp_traces": {_DESTINATION: sink, **(destinations or {})}},
                "state": dict(state),
                "shutdown_timeout": "5s",
            },
            environment,
        )
        ports = self.process.ports
        self.clients = Clients(ports, manners or Manners(), self.numbers, clock, seed)
        tally = self.clients.tally
        self.watch = Watch(
            ports.scrape, lambda: tally.acknowledged_spans, lambda: self.numbers.given
        )

    def __enter__(self) -> Experiment:
        """Nothing runs yet."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """End everything."""
        self.watch.stop()
        self.clients.finish(0.0)
        self.process.kill()
        self.sink.close()

    def start(self, *, clients: bool = True) -> None:
        """Start the process, then the load."""
        self.spawn()
        self.process.wait_until_ready()
        if clients:
            self.clients.start()
        self.watch.start()

    def spawn(self) -> None:
        """Start the next process."""
        self.sink.life += 1
        self.process.spawn()

    def conclude(self, seconds: float = DRAIN_SECONDS) -> Verdict:
        """Let the clients end, wait until all is delivered, and judge; the process must run."""
        verdict = Verdict()
        faults = verdict.faults
        if not self.clients.finish(seconds):
            faults.append("some batches were never acknowledged")
        try:
            wait_until(self._delivered, seconds, "everything is delivered")
        except AssertionError as error:
            faults.append(str(error))
        self.watch.stop()
        last = self.watch.scrape()
        self._judge(verdict, last)
        return verdict

    def _delivered(self) -> bool:
        if self.sink.spans < self.clients.tally.acknowledged_spans:
            return False
        scrape = self.watch.scrape()
        return scrape is not None and not scrape.sum(
            "spanmill_export_queued_spans", f'exporter="{_DESTINATION}"'
        )

    def _judge(self, verdict: Verdict, last: Scrape | None) -> None:
        tally, faults = self.clients.tally, verdict.faults
        verdict.acknowledged_spans = tally.acknowledged_spans
        verdict.sent_again_spans = tally.sent_twice_spans
        verdict.refused_for_now = tally.refused_for_now
        verdict.unanswered = tally.unanswered
        verdict.doubles_at_sink = len(self.sink.doubles)
        verdict.scrapes = self.watch.watched.scrapes
        verdict.starts = self.process.starts
        faults += self.watch.watched.faults
        if tally.refused_for_good:
            faults.append(f"{len(tally.refused_for_good)} refused: {tally.refused_for_good[0]}")
        if tally.without_retry_delay:
            faults.append(f"no delay was told with: {tally.without_retry_delay[0]}")
        missing = self.sink.missing(self.numbers.given)
        if missing:
            faults.append(f"{len(missing)} spans never came, the first is {missing[0]}")
        doubles = self.sink.unexcused()
        if doubles:
            faults.append(f"{len(doubles)} spans came again, the first: {doubles[0]}")
        if last is None:
            faults.append("the last scrape had no answer")
            return
        verdict.duplicates_recognised = int(
            last.sum("spanmill_spans_received_total", 'outcome="duplicate"')
        )
        faults += _miscounted(calls_in(last), self.numbers.calls)


def calls_in(scrape: Scrape) -> dict[LabelSet, float]:
    """The calls of each label set in Tempo's dialect."""
    found: dict[LabelSet, float] = {}
    for key, value in scrape.cumulative.items():
        name, _, labels = key.rstrip("}").partition("{")
        if name == "traces_spanmetrics_calls_total":
            pairs = dict(pair.split("=", 1) for pair in labels.split(","))
            service, span_name, status = (
                pairs[label].strip('"') for label in ("service", "span_name", "status_code")
            )
            found[service, span_name, status] = value
    return found


def _miscounted(counted: Mapping[LabelSet, float], right: Counter[LabelSet]) -> list[str]:
    wrong = [key for key in {*counted, *right} if counted.get(key, 0.0) != right[key]]
    if not wrong:
        return []
    first = min(wrong)
    return [
        f"{len(wrong)} label sets are counted wrong: {sum(counted.values()):.0f} calls counted of "
        f"{right.total()} spans sent; {'/'.join(first)}: {counted.get(first, 0.0):.0f} counted, "
        f"{right[first]} sent"
    ]
