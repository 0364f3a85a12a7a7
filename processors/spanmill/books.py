"""The running check of the books: both sides of each identity, compared at every snapshot."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from spanmill.series.registry import Registry
from spanmill.telemetry import ACCEPTED_OUTCOMES, EXPORT_OUTCOMES, Telemetry

_log = logging.getLogger(__name__)

PROCESSING: Final = "processing"
"""The book that compares accepted spans with counted ones; the others have exporters' names."""


def check_books(registry: Registry, telemetry: Telemetry, exporters: Sequence[str]) -> None:
    """Show at every snapshot by how many spans the sides of each book differ: 0, or a fault.

    - processing: accepted = counted_own + counted_overflow + filtered;
    - each exporter: accepted = the sum of its outcomes + what it has queued.

    Call it when everything that sets a gauge before a snapshot is there: they run in order.
    """
    difference = registry.gauge(
        "spanmill_books_difference_spans",
        "Accepted spans less those accounted for; anything but 0 is a fault of spanmill.",
        ("book",),
    )
    told: set[str] = set()

    def compare(book: str, accounted: float) -> None:
        missing = telemetry.spans_received.value("accepted") - accounted
        difference.set(missing, book)
        if missing and book not in told:
            told.add(book)
            _log.error("the books don't balance", extra={"book": book, "spans": int(missing)})

    def refresh() -> None:
        counted = (telemetry.spans_accepted.value(outcome) for outcome in ACCEPTED_OUTCOMES)
        compare(PROCESSING, sum(counted))
        for exporter in exporters:
            ended = (telemetry.export_spans.value(exporter, o) for o in EXPORT_OUTCOMES)
            compare(exporter, sum(ended) + telemetry.export_queued_spans.value(exporter))

    registry.before_snapshot(refresh)
