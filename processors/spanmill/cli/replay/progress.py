"""What `spanmill replay` says while it sends, and at its end."""

from __future__ import annotations

from typing import Final, TextIO

from spanmill.cli.replay.transmission import Sent
from spanmill.clock import Clock

REDRAWN_EVERY: Final = 0.2
"""Seconds between two states of the line on a terminal."""

PRINTED_EVERY: Final = 5.0
"""Seconds between two lines anywhere else."""


class Progress:
    """Shows how far it is: one line rewritten on a terminal, else a line every few seconds."""

    def __init__(self, sent: Sent, passes: int, clock: Clock, out: TextIO) -> None:
        self._sent = sent
        self._passes = passes
        self._clock = clock
        self._out = out
        self._redraws = out.isatty()
        self._every = REDRAWN_EVERY if self._redraws else PRINTED_EVERY
        self._began = clock.monotonic()
        self._next = self._began + (0.0 if self._redraws else self._every)
        self._pass = 0
        self._width = 0

    def begin_pass(self, number: int) -> None:
        """The pass of this number, counted from 1, begins."""
        self._pass = number

    def update(self) -> None:
        """Show the state, if that is due."""
        self._show("")

    def waiting(self, reason: str) -> None:
        """Show, if that is due, what is being waited for."""
        self._show(f"; trying again: {reason}")

    def end(self) -> None:
        """Leave the terminal's line."""
        if self._width:
            self._out.write("\n")
            self._width = 0

    def _show(self, suffix: str) -> None:
        now = self._clock.monotonic()
        if now < self._next:
            return
        self._next = now + self._every
        of = f" of {self._passes}" if self._passes else ""
        line = f"pass {self._pass}{of}: {summary(self._sent, now - self._began)}{suffix}"
        if self._redraws:
            self._out.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._out.write(line + "\n")
        self._out.flush()


def summary(sent: Sent, seconds: float) -> str:
    """How much was sent in how long."""
    rate = sent.spans / seconds if seconds > 0 else 0.0
    return (
        f"{sent.spans} spans in {sent.requests} requests, {seconds:.1f} s, "
        f"{rate:.0f} spans/s, {sent.rejected} rejected"
    )
