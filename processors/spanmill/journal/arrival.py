"""The clock of the journal's records."""

from __future__ import annotations

from spanmill.clock import Clock
from spanmill.journal.log import CLOCK_STEP_NS


class ArrivalClock:
    """Arrival times as `Record` promises them; one for each journal.

    A wall clock that is slewed back by less than CLOCK_STEP_NS stands still here until it has
    caught up. One that was set back by more is followed at once: else everything that is derived
    from arrival times would stand still for as long.
    """

    def __init__(self, clock: Clock, last_ns: int = 0) -> None:
        self._clock = clock
        self._last_ns = last_ns

    def now(self) -> int:
        """When the next record arrives, nanoseconds since the Unix epoch."""
        wall = self._clock.time_ns()
        if self._last_ns - CLOCK_STEP_NS < wall < self._last_ns:
            return self._last_ns
        self._last_ns = wall
        return wall
