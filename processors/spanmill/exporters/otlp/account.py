"""What became of spans or points for one destination: its side of the books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final

from spanmill.exporters.otlp.signals import OtlpSignal
from spanmill.journal.log import Cursor, ReadRecord
from spanmill.telemetry import Telemetry

DELIVERED: Final = "delivered"
REJECTED: Final = "rejected_by_peer"
DEAD_LETTERED: Final = "dead_lettered"
EXPIRED: Final = "expired"


class Account:
    """Counts a destination's items (spans or points) by outcome, in step with its cursor.

    At every moment in which `books` is free: accepted = delivered + rejected_by_peer +
    dead_lettered + expired + what the cursor has queued.
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
            for outcome, items in outcomes.items():
                self._count(outcome, items)
            cursor.acknowledge(records, outcomes)

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
