from __future__ import annotations

import pytest

from spanmill.cli.demo.incident import EVERY, FIRST, LENGTH, describe, phase_at


@pytest.mark.parametrize(
    ("elapsed", "failing"),
    [
        (0.0, False),
        (FIRST - 0.1, False),
        (FIRST, True),
        (FIRST + LENGTH - 0.1, True),
        (FIRST + LENGTH, False),
        (FIRST + EVERY - 0.1, False),
        (FIRST + EVERY, True),
        (FIRST + 7 * EVERY + LENGTH / 2, True),
    ],
)
def test_payment_fails_after_half_a_minute_for_half_a_minute_again_and_again(
    elapsed: float, failing: bool
) -> None:
    assert phase_at(elapsed).failing is failing


@pytest.mark.parametrize("elapsed", [0.0, 12.5, 30.0, 59.0, 61.0, 100.0, 149.0, 151.0])
def test_what_remains_is_the_time_to_the_next_change(elapsed: float) -> None:
    phase = phase_at(elapsed)
    assert phase_at(elapsed + phase.remaining - 0.01).failing is phase.failing
    assert phase_at(elapsed + phase.remaining + 0.01).failing is not phase.failing


def test_the_screen_says_what_happens_and_where_to_look() -> None:
    assert describe(phase_at(18.0)) == "all is well; in 12 s payment will fail on purpose"
    assert describe(phase_at(40.0)) == (
        "payment fails on purpose (40%) and is slow: watch checkout, 20 s left"
    )
    assert describe(phase_at(62.0)).startswith("payment works again")
    assert describe(phase_at(100.0)) == "all is well; in 50 s payment will fail on purpose"


@pytest.mark.parametrize("elapsed", range(0, 150, 3))
def test_the_story_fits_a_line_of_80_columns_after_the_time(elapsed: int) -> None:
    assert len(f"1234 s  {describe(phase_at(float(elapsed)))}") <= 80
