"""Where one destination's requests go that are given up."""

from __future__ import annotations

from typing import Final

from spanmill.clock import Clock
from spanmill.journal.dead_letters import DeadLetter, KeepsLetters
from spanmill.journal.log import Signal


class Letters:
    """Writes down what one destination will not take, with its name and the time."""

    def __init__(self, destination: str, signal: Signal, kept: KeepsLetters, clock: Clock) -> None:
        self._destination: Final = destination
        self._signal: Final = signal
        self._kept = kept
        self._clock = clock

    def keep(self, payload: bytes, items: int, reason: str) -> None:
        """A request of so many items is given up for this reason."""
        self._kept.add(
            DeadLetter(
                self._signal, self._destination, reason, self._clock.time_ns(), items, payload
            )
        )
