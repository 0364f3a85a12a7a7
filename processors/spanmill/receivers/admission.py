"""Requests in flight against a memory budget, and fairly between clients."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Final

from spanmill.clock import Clock
from spanmill.errors import OverBudgetError, UnavailableError
from spanmill.journal.log import RETRY_AFTER_SECONDS

PATIENCE_SECONDS: Final = 2.0
"""How long a request waits for its turn before it is refused."""

UNLIMITED: Final = 1 << 62
"""The budget of who sets none."""

_ASKED_SECONDS: Final = 5.0
_READERS: Final = 12
_LOOK_SECONDS: Final = 0.1


def effective_request_size(configured: int, budget: int) -> int:
    """The largest request that is taken: what is configured, or a twelfth of the budget."""
    return min(configured, max(1 << 16, budget // _READERS))


class Admission:
    """Bytes in flight of all receivers, never more than the budget.

    While others ask, one client holds at most half of it, unless it holds nothing else; and it
    never holds the last twelfth beside something else, which is for a client that comes. "Others
    ask" means that another one holds something, or was refused within the last five seconds: so
    a client that was alone makes room when it is not any more. Memory: one number for each client
    that holds something now, and the names of the last two that were refused.
    """

    def __init__(self, budget: int, clock: Clock) -> None:
        self.budget: Final = budget
        self._clock = clock
        self._changed = threading.Condition(threading.Lock())
        self._used = 0
        self._by_client: dict[str, int] = {}
        self._waiting = 0
        self._refused: dict[str, float] = {}

    @property
    def used(self) -> int:
        """Bytes in flight."""
        return self._used

    def reserve(self, client: str, amount: int, patience: float = 0.0) -> Reservation:
        """Hold so many bytes for a request; waits up to `patience` seconds for them.

        Raises UnavailableError where others have them, OverBudgetError where nobody could.
        """
        reservation = Reservation(self, client)
        with self._changed:
            if not self._take(reservation, amount):
                self._wait_for(reservation, amount, patience)
        return reservation

    @property
    def pressed(self) -> bool:
        """Whether a request waits for room, or was refused within the last five seconds."""
        if self._waiting:
            return True
        since = self._clock.monotonic() - _ASKED_SECONDS
        return any(at > since for at in list(self._refused.values()))

    def change(self, reservation: Reservation, amount: int) -> None:
        """Let a request hold this many bytes instead of what it holds; raises as `reserve`."""
        with self._changed:
            if not self._take(reservation, amount):
                self._refuse(reservation.client)

    def _take(self, reservation: Reservation, amount: int) -> bool:
        """Change what is held, where that can be; the caller has the lock."""
        if reservation.released:
            return True  # nobody waits for this request any more
        client, more = reservation.client, amount - reservation.held
        if amount > self.budget:
            raise OverBudgetError(amount, self.budget)
        held = self._by_client.get(client, 0)
        if more > 0:
            # The last of it is for a client that comes.
            most = self.budget - (self.budget // _READERS if held else 0)
            if self._used + more > self.budget or held + more > most:
                return False
            if self._is_greedy(client, held, more):
                return False
        self._used += more
        if held + more:
            self._by_client[client] = held + more
        else:
            self._by_client.pop(client, None)
        reservation.held = amount
        if more < 0 and self._waiting:
            # Not all of them, of whom most would wait again: they look by themselves, too.
            self._changed.notify(2)
        return True

    def _is_greedy(self, client: str, held: int, more: int) -> bool:
        """Whether a client would have more than its share while others ask."""
        if held == 0 or held + more <= self.budget // 2:
            return False
        if len(self._by_client) > 1:
            return True
        since = self._clock.monotonic() - _ASKED_SECONDS
        return any(other != client and at > since for other, at in self._refused.items())

    def _wait_for(self, reservation: Reservation, amount: int, patience: float) -> None:
        """Wait for what a request needs that holds nothing yet."""
        client = reservation.client
        until = self._clock.monotonic() + patience
        self._waiting += 1
        try:
            while not self._take(reservation, amount):
                held = self._by_client.get(client, 0)
                left = until - self._clock.monotonic()
                # One that has its share already doesn't keep a thread from the others.
                if left <= 0 or self._is_greedy(client, held, amount):
                    self._refuse(client)
                self._changed.wait(min(left, _LOOK_SECONDS))
        finally:
            self._waiting -= 1

    def _refuse(self, client: str) -> None:
        self._refused.pop(client, None)
        self._refused[client] = self._clock.monotonic()
        if len(self._refused) > 2:
            del self._refused[next(iter(self._refused))]
        raise UnavailableError(
            f"the requests in flight take all of memory_budget ({self.budget} bytes) that this "
            "client may have now",
            RETRY_AFTER_SECONDS,
        )


class Reservation:
    """What one request holds; as a context it is given back at the end."""

    __slots__ = ("_admission", "client", "held", "released")

    def __init__(self, admission: Admission, client: str) -> None:
        self._admission = admission
        self.client: Final = client
        self.held = 0
        self.released = False

    def resize(self, amount: int) -> None:
        """Hold this many bytes instead; raises UnavailableError and OverBudgetError."""
        self._admission.change(self, amount)

    def at_least(self, amount: int) -> None:
        """Hold this many bytes or more; raises UnavailableError and OverBudgetError."""
        if amount > self.held:
            self._admission.change(self, amount)

    def release(self) -> None:
        """Give everything back; what is asked for later is granted, and held by nobody."""
        self._admission.change(self, 0)
        self.released = True

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
