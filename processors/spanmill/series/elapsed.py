"""How much time has passed by the records' clock, also where that was set back or jumped ahead."""

from __future__ import annotations

from typing import Final

from spanmill.journal.log import CLOCK_STEP_NS
from spanmill.journal.state import State
from spanmill.series.state_reader import StateReader


class Elapsed:
    """Nanoseconds since the first time that was read; they never become fewer.

    A clock that was set back, by CLOCK_STEP_NS or more, goes on from there at once, so that nobody
    waits until it has caught up. One that jumps ahead looks like a pause of that length: of each
    such pause at most `most_ns` are counted, after which whoever measures with this has waited
    long enough.
    """

    def __init__(self, most_ns: int) -> None:
        self._most_ns: Final = most_ns
        self._last_ns: int | None = None
        self._elapsed_ns = 0

    def at(self, now_ns: int) -> int:
        """How much time has passed by now; `now_ns` is nanoseconds since the Unix epoch."""
        passed = 0 if self._last_ns is None else now_ns - self._last_ns
        if passed > 0:
            self._elapsed_ns += min(passed, self._most_ns)
        if self._last_ns is None or passed > 0 or passed <= -CLOCK_STEP_NS:
            self._last_ns = now_ns
        return self._elapsed_ns

    def state(self) -> State:
        """What a restart brings back."""
        return {"last_ns": self._last_ns, "elapsed_ns": self._elapsed_ns}

    def restore(self, state: StateReader) -> None:
        """Take over a state; raises CheckpointError, and changes nothing, where it is none."""
        last_ns = state.value("last_ns")
        if last_ns is not None and type(last_ns) is not int:
            raise state.error("last_ns is no time")
        elapsed_ns = state.integer("elapsed_ns")
        self._last_ns, self._elapsed_ns = last_ns, elapsed_ns
