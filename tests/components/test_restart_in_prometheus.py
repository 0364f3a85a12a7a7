"""A kill and a restart leave no mark in a real Prometheus but a delay of what was sent meanwhile.

A client sends a request each 50 ms, and one that has no answer again until it has one; all those
that have come due by then follow at once. The processor is killed in the middle, then stopped and
started again.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pytest

from components.process import free_ports, running_processes, wait_until
from components.prometheus import SCRAPE_FORMS, Prometheus, start_prometheus
from faults.numbered import NAMES, Batch, Numbers
from faults.process import ProcessUnderTest
from receivers.clients import PROTOBUF, HttpClient

pytestmark = pytest.mark.components

SERVICE: Final = "steady"
REQUESTS_PER_SECOND: Final = 20
ERROR_SPANS: Final = 1
"""Of each name in a request; so every series grows by the same with each request."""
OTHER_SPANS: Final = 6
SPANS: Final = len(NAMES) * (ERROR_SPANS + OTHER_SPANS)
PHASE_SECONDS: Final = 15
"""Before the kill, between kill and restart, and after the restart."""
WINDOW: Final = 8
"""Seconds of rate(); some windows see an outage, others none."""
STARTING: Final = 3.0
"""Seconds after the first request in which no window begins: a series' first sample is there."""
ALIGNED: Final = 0.01
"""Seconds; Prometheus moves a sample's time by up to 2 ms, so that they are evenly spaced."""
AT_ONCE: Final = 0.5
"""Seconds; a window in which every answer came sooner sees no outage."""
DEADLINE: Final = 90.0
STOP_DEADLINE: Final = 30.0
CALLS: Final = "traces_spanmetrics_calls_total"


@dataclass(frozen=True, slots=True)
class Request:
    """When it was due, and when it was answered, Unix seconds."""

    due: float
    answered: float


@dataclass
class SteadyClient:
    """Sends requests of distinct bytes at a fixed rate, one after the other, none before it is due.

    A request without an answer is sent again, the same bytes, until it has one.
    """

    port: int
    numbers: Numbers = field(default_factory=Numbers)
    answered: list[Request] = field(default_factory=list)
    unanswered: int = 0
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="steady-client", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def end(self) -> None:
        """Make no new requests."""
        self._ending.set()

    def finish(self) -> None:
        """Make no new requests, and wait until the last one is answered."""
        self.end()
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "the last request has an answer"

    def _run(self) -> None:
        begin = time.time()
        number = 0
        while True:
            due = begin + number / REQUESTS_PER_SECOND
            if self._ending.wait(max(0.0, due - time.time())):
                return
            self._deliver(self.numbers.batch(SERVICE, SPANS, time.time_ns()))
            self.answered.append(Request(due, time.time()))
            number += 1

    def _deliver(self, batch: Batch) -> None:
        client = HttpClient(self.port, PROTOBUF)
        while True:
            try:
                answer = client.send(batch.body)
            except OSError:
                self.unanswered += 1
            else:
                if answer.ok:
                    return
                self.refused.append(f"{answer.code}: {answer.message}")
            finally:
                client.close()
            time.sleep(1 / REQUESTS_PER_SECOND)  # the pace of a client that comes again


@dataclass(frozen=True)
class Observed:
    """What was sent over a kill and a restart, and the Prometheus that looked on."""

    client: SteadyClient
    prometheus: Prometheus
    end: float
    """The second, Unix, at which every scrape has seen all of it."""

    @property
    def requests(self) -> int:
        return len(self.client.answered)

    @property
    def begin(self) -> float:
        return self.client.answered[0].due

    @property
    def range(self) -> str:
        """A range that holds every sample."""
        return f"[{self.end - self.begin + 30:.0f}s]"


def selector(form: str, name: str = CALLS) -> str:
    return f'{name}{{service="{SERVICE}",form="{form}"}}'


@pytest.fixture(scope="module")
def observed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Observed]:
    folder = tmp_path_factory.mktemp("restarts")
    settings = {"state": {"directory": str(folder / "state"), "checkpoint_interval": "5s"}}
    spanmill = ProcessUnderTest(folder, settings)
    client = SteadyClient(spanmill.ports.http)

    def answered(more: int) -> None:
        wanted = len(client.answered) + more
        wait_until(lambda: len(client.answered) >= wanted, DEADLINE, f"{more} requests answered")

    with running_processes(request.config) as started:
        try:
            spanmill.start()
            (port,) = free_ports(1)
            prometheus = start_prometheus(
                started, folder, [f"127.0.0.1:{spanmill.ports.scrape}"], port
            )
            up = f"sum(up) == bool {len(SCRAPE_FORMS)}"
            wait_until(lambda: prometheus.scalar(up) == 1, DEADLINE, "every form is scraped")
            client.start()
            answered(PHASE_SECONDS * REQUESTS_PER_SECOND)
            spanmill.kill()
            spanmill.start()
            answered(PHASE_SECONDS * REQUESTS_PER_SECOND)
            spanmill.send(signal.SIGTERM)
            assert spanmill.wait(STOP_DEADLINE) == 0, spanmill.log_tail()
            spanmill.start()
            answered(PHASE_SECONDS * REQUESTS_PER_SECOND)
            client.finish()
            total = len(client.answered) * SPANS
            wait_until(
                lambda: all(
                    prometheus.scalar(f"sum({selector(form)})") >= total for form in SCRAPE_FORMS
                ),
                DEADLINE,
                f"each form has {total} calls",
            )
            yield Observed(client, prometheus, time.time())
        finally:
            client.end()
            spanmill.kill()


def test_the_client_saw_both_outages_and_lost_nothing(observed: Observed) -> None:
    assert observed.client.unanswered > 0
    assert not [text for text in observed.client.refused if not text.startswith("503")]
    assert observed.client.numbers.given == observed.requests * SPANS


@pytest.mark.parametrize("form", SCRAPE_FORMS)
def test_scrapes_failed_while_the_process_was_away(observed: Observed, form: str) -> None:
    up = f'up{{job="spanmill-{form}"}}{observed.range}'
    assert observed.prometheus.scalar(f"min_over_time({up})") == 0
    assert observed.prometheus.scalar(f"max_over_time({up})") == 1


@pytest.mark.parametrize("form", SCRAPE_FORMS)
def test_the_total_of_each_series_is_what_was_sent(observed: Observed, form: str) -> None:
    found = {
        (dict(labels)["span_name"], dict(labels)["status_code"]): value
        for labels, value in observed.prometheus.query(selector(form), observed.end).items()
    }
    assert found == {
        (name, status): observed.requests * spans
        for name in NAMES
        for status, spans in (
            ("STATUS_CODE_ERROR", ERROR_SPANS),
            ("STATUS_CODE_UNSET", OTHER_SPANS),
        )
    }


@pytest.mark.parametrize("form", SCRAPE_FORMS)
def test_prometheus_sees_no_reset_of_any_span_metric(observed: Observed, form: str) -> None:
    prometheus = observed.prometheus
    names = prometheus.metric_names(selector(form, "").replace("{", '{__name__=~"traces_.+",', 1))
    assert {CALLS, "traces_spanmetrics_latency_count"} <= names
    for name in names:
        resets = prometheus.query(f"resets({selector(form, name)}{observed.range})", observed.end)
        assert resets, name
        assert set(resets.values()) == {0.0}, name


@pytest.mark.parametrize("form", SCRAPE_FORMS)
def test_no_sample_is_below_the_one_before(observed: Observed, form: str) -> None:
    found = samples(observed, form)
    assert len(found) == 2 * len(NAMES)
    for values in found:
        assert len(values) > PHASE_SECONDS
        assert [value for _, value in values] == sorted(value for _, value in values)


@pytest.mark.parametrize("form", SCRAPE_FORMS)
def test_rate_has_neither_a_dip_nor_a_spike_that_the_outage_does_not_explain(
    observed: Observed, form: str
) -> None:
    scrapes = scrape_times(observed, form)
    spans = {"STATUS_CODE_ERROR": ERROR_SPANS, "STATUS_CODE_UNSET": OTHER_SPANS}
    last_due = observed.client.answered[-1].due
    at = observed.begin + STARTING + WINDOW
    steady = disturbed = 0
    while at <= last_due:
        inside = [scrape for scrape in scrapes if at - WINDOW < scrape.begin <= at]
        if len(inside) >= 2:
            waited = longest_wait(observed.client.answered, inside)
            lowest, highest = bounds(observed.client.answered, inside, waited)
            rates = observed.prometheus.query(f"rate({selector(form)}[{WINDOW}s])", at)
            assert len(rates) == 2 * len(NAMES)
            found = [rate / spans[dict(labels)["status_code"]] for labels, rate in rates.items()]
            second = f"{at - observed.begin:.1f} s after the first request"
            limits = f"{lowest:.2f} to {highest:.2f}"
            print(f"{second}: {min(found):.2f} of {limits}; answers took {waited:.2f} s at most")
            assert lowest <= min(found) <= max(found) <= highest, second
            steady, disturbed = steady + (waited < AT_ONCE), disturbed + (waited >= AT_ONCE)
        at += 1.0
    assert steady, "some windows see no outage"
    assert disturbed, "some windows see one"


@dataclass(frozen=True, slots=True)
class ScrapeTime:
    """When a scrape began, which is its samples' time, and ended: values are of in between."""

    begin: float
    end: float


def scrape_times(observed: Observed, form: str) -> list[ScrapeTime]:
    """The scrapes that succeeded, in the order of time."""
    taken = {at for values in samples(observed, form) for at, _ in values}
    duration = f'scrape_duration_seconds{{job="spanmill-{form}"}}{observed.range}'
    (matrix,) = observed.prometheus.series(duration, observed.end)
    return [
        ScrapeTime(float(at), float(at) + float(seconds))
        for at, seconds in matrix["values"]
        if float(at) in taken
    ]


def samples(observed: Observed, form: str) -> list[list[tuple[float, float]]]:
    """Each series' samples as they are stored: second and value, in the order of time."""
    matrix = observed.prometheus.series(f"{selector(form)}{observed.range}", observed.end)
    return [[(float(at), float(value)) for at, value in each["values"]] for each in matrix]


def longest_wait(answered: Sequence[Request], inside: Sequence[ScrapeTime]) -> float:
    """The most seconds from when a request was due to its answer, of those near the window."""
    begin, end = inside[0].begin, inside[-1].end
    return max(
        (r.answered - r.due for r in answered if r.due <= end and r.answered >= begin), default=0.0
    )


def bounds(
    answered: Sequence[Request], inside: Sequence[ScrapeTime], waited: float
) -> tuple[float, float]:
    """What rate() may be, in requests a second, over a window with these scrapes.

    By the rate that is sent: at a sample the counter is all that has come due, less at most what
    was due in the last `waited` seconds. From the first to the last sample, `seen` seconds apart,
    it grows by rate · seen ± rate · waited, a scrape's duration and a request at either end.
    By the answers: at a sample it is what was answered by then, and at most the one request more
    that is under way. The closer bound of both holds. rate() extrapolates what it saw to between
    `seen` and WINDOW seconds, and divides by WINDOW.
    """
    first, last = inside[0], inside[-1]
    seen = last.begin - first.begin
    slowest = max(first.end - first.begin, last.end - last.begin)
    apart = REQUESTS_PER_SECOND * (waited + slowest) + 2

    def by(second: float) -> int:
        return sum(each.answered <= second for each in answered)

    least = by(last.begin - ALIGNED) - by(first.end + ALIGNED) - 1
    most = by(last.end + ALIGNED) + 1 - by(first.begin - ALIGNED)
    lowest = max(REQUESTS_PER_SECOND * seen - apart, least)
    highest = min(REQUESTS_PER_SECOND * seen + apart, most)
    return lowest / WINDOW, highest / seen
