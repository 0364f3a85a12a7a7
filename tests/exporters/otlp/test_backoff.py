"""Waiting between attempts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanmill.exporters.otlp.backoff import LONGEST_NAMED_WAIT, Backoff
from spanmill.exporters.otlp.settings import RetrySettings

SETTINGS = RetrySettings(initial_interval=1.0, max_interval=30.0, multiplier=2.0)
CEILINGS = [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


class Highest(random.Random):
    """Always the top of a range."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_the_ceiling_grows_to_the_longest_interval_and_stays() -> None:
    backoff = Backoff(SETTINGS, Highest())
    assert [backoff.next_wait(None) for _ in CEILINGS] == CEILINGS


def test_a_reset_begins_anew() -> None:
    backoff = Backoff(SETTINGS, Highest())
    for _ in range(5):
        backoff.next_wait(None)
    backoff.reset()
    assert backoff.next_wait(None) == 1.0


def test_jitter_is_full() -> None:
    rng = random.Random(7)
    waits = [Backoff(SETTINGS, rng).next_wait(None) for _ in range(2000)]
    assert min(waits) < 0.01
    assert max(waits) > 0.99
    assert sum(waits) / len(waits) == pytest.approx(0.5, abs=0.05)


@settings(deadline=None)
@given(st.integers(), st.lists(st.one_of(st.none(), st.floats(0, 1e12)), max_size=200))
def test_a_wait_is_bounded_and_never_shorter_than_was_asked_for(
    seed: int, named: list[float | None]
) -> None:
    backoff = Backoff(SETTINGS, random.Random(seed))
    for after in named:
        wait = backoff.next_wait(after)
        if after:
            assert min(after, LONGEST_NAMED_WAIT) <= wait <= LONGEST_NAMED_WAIT + 1.0
        else:
            assert 0 <= wait <= 30.0


def test_a_named_wait_does_not_lengthen_the_next() -> None:
    backoff = Backoff(SETTINGS, Highest())
    for _ in range(10):
        backoff.next_wait(0.5)
    assert backoff.next_wait(None) == 1.0


def test_a_named_wait_of_nothing_is_no_permission_to_hammer() -> None:
    backoff = Backoff(SETTINGS, Highest())
    assert [backoff.next_wait(0.0) for _ in range(3)] == [1.0, 2.0, 4.0]


def test_endless_attempts_overflow_nothing() -> None:
    backoff = Backoff(RetrySettings(1.0, 1e300, 100.0), Highest())
    waits = [backoff.next_wait(None) for _ in range(10_000)]
    assert waits[-1] == 1e300
