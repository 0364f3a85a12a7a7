"""A processor that fails is counted, told and switched off; the others go on."""

from __future__ import annotations

import logging
from itertools import count

import numpy as np
import pytest

from processors.own.hosting import START, Shown
from spanmill.processors import Metrics, Processor, SpanBatch
from spanmill.processors.guard import GuardedProcessor, show_processors
from spanmill.telemetry import Telemetry
from spanmill.testing import Span, batch_of


class Fails(Processor):
    """Fails while `observes` or `ticks` says so."""

    def __init__(self, metrics: Metrics) -> None:
        self.requests = metrics.counter("requests_total", "Requests.")
        self.observes: type[BaseException] | None = None
        self.ticks: type[BaseException] | None = None

    def observe(self, batch: SpanBatch) -> None:
        self.requests.add_one()
        if self.observes is not None:
            raise self.observes("on purpose")

    def tick(self, now_ns: int) -> None:
        if self.ticks is not None:
            raise self.ticks("on purpose")


class Guarded:
    def __init__(self, max_failures: int | None = 3) -> None:
        self.shown = Shown()
        self.telemetry = Telemetry(self.shown.registry)
        self.inner = Fails(self.shown.metrics)
        hosted = self.shown.host(lambda _: self.inner)
        milliseconds = count(step=1_000_000)
        self.guard = GuardedProcessor[SpanBatch](
            "mine",
            hosted,
            self.telemetry,
            lambda: next(milliseconds),
            max_failures=max_failures,
        )
        show_processors(self.shown.registry, [self.guard])

    def observe(self, times: int = 1) -> list[bool]:
        return [self.guard.observe(batch_of([Span()])) for _ in range(times)]

    @property
    def errors(self) -> float:
        return self.telemetry.processor_errors.value("mine")

    def value(self, name: str) -> float:
        return self.shown.values(name)[("mine",)]


def test_one_that_works_is_up_and_its_time_is_shown() -> None:
    guarded = Guarded()
    assert guarded.observe(2) == [True, True]
    assert guarded.guard.tick(START)
    assert guarded.value("spanmill_processor_up") == 1
    assert guarded.value("spanmill_processor_seconds_total") == pytest.approx(0.003)
    assert guarded.value("spanmill_processor_seconds_total") == pytest.approx(0.003)


def test_it_is_switched_off_after_so_many_failures(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guarded = Guarded(max_failures=3)
    guarded.inner.observes = ZeroDivisionError
    assert guarded.observe(5) == [False] * 5
    assert not guarded.guard.tick(START)
    assert guarded.errors == 3
    assert guarded.value("spanmill_processor_up") == 0
    assert [record.message for record in caplog.records] == [
        "a processor failed",
        "a processor is switched off until the next start: it failed too often",
    ]
    first, last = caplog.records
    assert first.exc_info is not None
    assert first.exc_info[0] is ZeroDivisionError
    assert (last.failures, last.last_error) == (3, "ZeroDivisionError: on purpose")  # type: ignore[attr-defined]  # extra fields


def test_ten_successes_make_a_failure_forgotten() -> None:
    guarded = Guarded(max_failures=3)
    for _ in range(4):
        guarded.inner.observes = ValueError
        guarded.observe()
        guarded.inner.observes = None
        assert guarded.observe(10) == [True] * 10
    assert (guarded.errors, guarded.guard.is_up) == (4, True)


def test_one_that_fails_every_second_time_is_switched_off() -> None:
    guarded = Guarded(max_failures=3)
    for _ in range(4):
        guarded.inner.observes = ValueError
        guarded.observe()
        guarded.inner.observes = None
        guarded.observe()
    assert not guarded.guard.is_up


def test_ticks_that_succeed_don_t_hide_batches_that_fail() -> None:
    guarded = Guarded(max_failures=3)
    guarded.inner.observes = ValueError
    for _ in range(3):
        guarded.observe()
        guarded.guard.tick(START)
    assert not guarded.guard.is_up


def test_ticks_that_fail_switch_it_off_too() -> None:
    guarded = Guarded(max_failures=2)
    guarded.inner.ticks = ValueError
    for _ in range(2):
        guarded.observe()
        guarded.guard.tick(START)
    assert not guarded.guard.is_up


def test_without_a_bound_it_is_never_switched_off(caplog: pytest.LogCaptureFixture) -> None:
    guarded = Guarded(max_failures=None)
    guarded.inner.observes = ValueError
    with caplog.at_level(logging.ERROR):
        guarded.observe(100)
    assert (guarded.errors, guarded.guard.is_up) == (100, True)
    assert len(caplog.records) == 1


def test_one_that_ends_the_process_is_a_failure_like_others() -> None:
    guarded = Guarded()
    guarded.inner.observes = SystemExit
    assert guarded.observe() == [False]
    assert guarded.errors == 1


def test_a_batch_that_failed_adds_nothing_one_by_one() -> None:
    guarded = Guarded()
    guarded.observe()
    guarded.inner.observes = ValueError
    guarded.observe()
    assert guarded.shown.values("requests_total") == {(): 1}


def test_a_batch_can_t_be_written_into() -> None:
    class Writes(Fails):
        def observe(self, batch: SpanBatch) -> None:
            batch.duration[:] = 0

    shown = Shown()
    hosted = shown.host(Writes)
    batch = batch_of([Span(attributes={"a": "b"})], ["a"])
    with pytest.raises(ValueError, match="read-only"):
        hosted.observe(batch)
    assert batch.duration.tolist() == [5_000_000]
    for column in (batch.kind, batch.weight, batch.name.codes, batch.attributes["a"].codes):
        assert not np.asarray(column).flags.writeable
