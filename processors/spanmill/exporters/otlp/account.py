"""What became of spans or points for one destination: its side of the books."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final

from spanmill.exporters.otlp.signals import OtlpSignal
from spanmill.journal.log import Cursor, ReadRecord
from spanmill.telemetry import EXPORT_OUTCOMES, Telemetry

DELIVERED: Final = "delivered"
REJECTED: Final = "rejected_by_peer"
DEAD_LETTERED: Final = "dead_lettered"
EXPIRED: Final = "expired"
FILTERED: Final = "filtered_for_it"

_log = logging.getLogger(__name__)


class Account:
    """Counts a destination's items (spans or points) by outcome, in step with its cursor.

    At every moment in which `books` is free: accepted = delivered + rejected_by_peer +
    dead_lettered + expired + filtered_for_it + what the cursor has queued.
    """

    def __init__(
        self,
        name: str,
        signal: OtlpSignal,
        telemetry: Telemetry,
        books: AbstractContextManager[object],
    ) -> None:
        self.name: Final = name
        self.signal: Final = signal
        self._items = telemetry.books_of(signal.signal)
        self._telemetry = telemetry
        self._books = books

    def total(self, outcome: str) -> int:
        """Items with this outcome so far."""
        return int(self._items.exported.value(self.name, outcome))

    def expired(self, items: int) -> None:
        """The cursor gave up items that were not yet read; `books` is held meanwhile."""
        with self._books:
            self._count(EXPIRED, items)

    def settle(self, cursor: Cursor, records: Sequence[ReadRecord], outcomes: Counter[str]) -> None:
        """These records were answered for; the outcomes sum to their items."""
        with self._books:
            cursor.acknowledge(records, outcomes)  # first: it may be on disk, the counters never
            for outcome, items in outcomes.items():
                self._count(outcome, items)

    def recover(self, cursor: Cursor, now_ns: int) -> None:
        """Go on from the cursor's outcomes, so that the books balance; before it is read.

        What was accepted and is neither queued nor in an outcome was gone before a destination
        that was away came back (expired), or arrived before a new one was there
        (filtered_for_it). Where a new one's file was there and can't be read, what is gone may have
        been delivered or not (filtered_for_it). Where less was accepted than the cursor says, the
        accepted were lost with the checkpoints: then the outcomes begin anew as well, at what is
        accounted for.
        """
        with self._books:
            outcomes = Counter(cursor.outcomes)
            accepted = int(self._items.received.value("accepted"))
            missing = accepted - outcomes.total() - cursor.queued_items
            if missing:
                created = cursor.created_ns if missing > 0 else now_ns
                self._balance(cursor, outcomes, missing)
                cursor.restate(outcomes, created)
            for outcome in EXPORT_OUTCOMES:
                if cursor.created_ns:
                    labels = (self.name, outcome)
                    self._items.exported.resume(outcomes[outcome], cursor.created_ns, *labels)

    def _balance(self, cursor: Cursor, outcomes: Counter[str], missing: int) -> None:
        whose = {"destination": self.name, "signal": self.signal.name}
        items = self.signal.items
        if missing > 0 and cursor.resumed:
            outcomes[EXPIRED] += missing
            _log.error(
                f"{items} were gone before their destination came back",
                extra={**whose, "expired_items": missing},
            )
        elif missing > 0:
            outcomes[FILTERED] += missing
            if cursor.forgotten:
                _log.warning(
                    f"whether a destination got its {items} that are gone from the journal isn't "
                    "known any more",
                    extra={**whose, "filtered_items": missing},
                )
            else:
                _log.info(
                    f"a new destination gets no {items} that came before it",
                    extra={**whose, "filtered_items": missing},
                )
        else:
            _log.warning(
                f"fewer {items} are known than the destination got, its counters begin anew",
                extra={**whose, "forgotten_items": -missing},
            )
            for outcome in (DELIVERED, FILTERED, REJECTED, DEAD_LETTERED, EXPIRED):
                taken_back = min(outcomes[outcome], -missing)
                outcomes[outcome] -= taken_back
                missing += taken_back

    def show_queue(self, cursor: Cursor) -> None:
        """Set the gauges of what waits; to be called under `books` before each snapshot."""
        self._items.queued.set(cursor.queued_items, self.name)
        self._telemetry.export_queued_bytes.set(cursor.queued_bytes, self.name, self.signal.name)

    def sent_again(self) -> None:
        """A request is about to be sent another time."""
        self._telemetry.export_retries.add(1, self.name, self.signal.name)

    def took(self, seconds: float) -> None:
        """A request was answered, or given up, after this time."""
        duration = max(0, round(seconds * 1e9))
        self._telemetry.export_duration.observe_one(duration, self.name, self.signal.name)

    def _count(self, outcome: str, items: int) -> None:
        if items:
            self._items.exported.add(items, self.name, outcome)
