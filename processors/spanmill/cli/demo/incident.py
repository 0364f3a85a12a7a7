"""When payment fails on purpose, and what the screen says about it."""

from __future__ import annotations

from dataclasses import dataclass

FIRST = 30.0  # seconds from the start of the traffic to the first failure
LENGTH = 30.0  # seconds that a failure lasts
EVERY = 120.0  # seconds from one failure's start to the next one's
SETTLING = 15.0  # seconds after a failure that the sliding window still shows it

FAILURE_RATIO = 0.4  # of the charges while payment fails
SLOW_SECONDS = 0.8  # what a charge takes meanwhile (median)


@dataclass(frozen=True, slots=True)
class Phase:
    """A moment of the schedule: whether payment fails, and how many seconds until that changes."""

    failing: bool
    settling: bool
    remaining: float


def phase_at(elapsed: float) -> Phase:
    """The phase `elapsed` seconds after the traffic started."""
    since = elapsed - FIRST
    if since < 0:
        return Phase(failing=False, settling=False, remaining=-since)
    into = since % EVERY
    if into < LENGTH:
        return Phase(failing=True, settling=False, remaining=LENGTH - into)
    return Phase(failing=False, settling=into < LENGTH + SETTLING, remaining=EVERY - into)


def describe(phase: Phase) -> str:
    """One sentence for the screen."""
    seconds = f"{max(1, round(phase.remaining))} s"
    if phase.failing:
        return (
            f"payment fails on purpose ({FAILURE_RATIO:.0%}) and is slow: "
            f"watch checkout, {seconds} left"
        )
    if phase.settling:
        return "payment works again: the figures recover as the window moves on"
    return f"all is well; in {seconds} payment will fail on purpose"
