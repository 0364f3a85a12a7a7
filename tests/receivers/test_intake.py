"""From a body to its commit."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from receivers.otlp_requests import good_body, request, span
from spanmill.errors import UnavailableError, UndecodableError
from spanmill.journal.log import Entry, Record, Signal
from spanmill.receivers.intake import Intake, Receipt
from spanmill.receivers.signals import Decoded, taken_traces
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Histograms
from spanmill.spans.installed import load_decoder
from spanmill.telemetry import Telemetry
from spanmill.testing import ManualClock

TraceEntry = Entry[Decoded | None]
Committed = Future[Record[Decoded | None]]


class HeldJournal:
    """A journal whose futures the test ends."""

    def __init__(self) -> None:
        self.entries: list[TraceEntry] = []
        self.futures: list[Committed] = []

    def submit(self, entry: TraceEntry) -> Committed:
        self.entries.append(entry)
        self.futures.append(Future())
        return self.futures[-1]

    def commit(self) -> None:
        for position, (entry, future) in enumerate(zip(self.entries, self.futures, strict=True)):
            future.set_result(Record(position, 0, entry))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def registry(clock: ManualClock) -> Registry:
    return Registry(clock)


@pytest.fixture
def journal() -> HeldJournal:
    return HeldJournal()


@pytest.fixture
def intake(registry: Registry, journal: HeldJournal, clock: ManualClock) -> Intake:
    return Intake(taken_traces(load_decoder(())), journal, Telemetry(registry), clock)  # type: ignore[arg-type]  # it only submits


def test_an_entry_holds_what_was_decoded_and_where_it_came_from(
    intake: Intake, journal: HeldJournal
) -> None:
    body = good_body(spans=3)

    answer = intake.take(body, "10.0.0.1")

    (entry,) = journal.entries
    assert (entry.payload, entry.signal, entry.source) == (body, Signal.TRACES, "10.0.0.1")
    assert entry.items == 3
    assert not answer.done()
    journal.commit()
    assert answer.result() == Receipt(0, "")


def test_an_empty_request_needs_no_commit(intake: Intake, journal: HeldJournal) -> None:
    assert intake.take(b"", "10.0.0.1").done()
    assert journal.entries == []


def test_rejected_spans_alone_are_submitted_for_the_books(
    intake: Intake, journal: HeldJournal
) -> None:
    intake.take(request(span(trace_id=b"")).SerializeToString(), "10.0.0.1")

    (entry,) = journal.entries
    assert entry.items == 0
    assert entry.decoded is not None
    assert entry.decoded.rejected == {"invalid_trace_id": 1}


def test_an_undecodable_body_reaches_no_journal(intake: Intake, journal: HeldJournal) -> None:
    with pytest.raises(UndecodableError):
        intake.take(b"\xff", "10.0.0.1")

    assert journal.entries == []


def test_the_journals_error_is_the_answer(intake: Intake, journal: HeldJournal) -> None:
    answer = intake.take(good_body(), "10.0.0.1")

    journal.futures[0].set_exception(UnavailableError("full", 2.0))

    with pytest.raises(UnavailableError, match="full"):
        answer.result()


def test_who_gives_up_waiting_cancels_no_commit(intake: Intake, journal: HeldJournal) -> None:
    answer = intake.take(good_body(), "10.0.0.1")

    assert not answer.cancel()

    assert not journal.futures[0].cancelled()
    journal.commit()
    assert answer.done()


def test_abandoned_requests_are_unavailable_and_committed_all_the_same(
    intake: Intake, journal: HeldJournal
) -> None:
    answer = intake.take(good_body(), "10.0.0.1")
    waiting = threading.Thread(target=answer.exception)
    waiting.start()

    intake.abandon()
    intake.abandon()

    waiting.join(20)
    assert not waiting.is_alive()
    with pytest.raises(UnavailableError, match="shutting down"):
        answer.result()
    journal.commit()


def test_an_acknowledgement_is_timed(
    intake: Intake, registry: Registry, clock: ManualClock
) -> None:
    counts = intake.counts("grpc")
    arrived = counts.arrived()
    clock.advance(0.25)

    counts.acknowledged(intake.take(b"", "10.0.0.1").result(), arrived)

    (durations,) = (
        family.data
        for family in registry.snapshot()
        if family.family.name == "spanmill_ack_duration_seconds"
    )
    assert isinstance(durations, Histograms)
    assert durations.counts.tolist() == [1]
    assert durations.sums.tolist() == [0.25]


def test_every_outcome_is_shown_before_it_happens(intake: Intake, registry: Registry) -> None:
    intake.counts("grpc")

    (requests,) = (
        family.labels
        for family in registry.snapshot()
        if family.family.name == "spanmill_receiver_requests_total"
    )
    assert requests == [
        ("grpc", "traces", "accepted"),
        ("grpc", "traces", "partial"),
        ("grpc", "traces", "refused"),
    ]
