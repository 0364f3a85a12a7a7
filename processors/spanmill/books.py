"""The running check of the books: both sides of each identity, compared at every snapshot."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from spanmill.series.registry import Registry
from spanmill.telemetry import ACCEPTED_OUTCOMES, EXPORT_OUTCOMES, ItemBooks, Telemetry

_log = logging.getLogger(__name__)

PROCESSING: Final = "processing"
"""The book that compares accepted items with counted ones; the others have exporters' names."""


def check_books(
    registry: Registry,
    telemetry: Telemetry,
    exporters: Sequence[str],
    metric_exporters: Sequence[str] = (),
) -> None:
    """Show at every snapshot by how many items the sides of each book differ: 0, or a fault.

    There is one metric for the spans and one for the metric points, each with these books:

    - processing: accepted = counted_own + counted_overflow + filtered;
    - each exporter: accepted = the sum of its outcomes + what it has queued.

    Call it when everything that sets a gauge before a snapshot is there: they run in order.
    """
    _check(registry, telemetry.spans, "spans", exporters)
    _check(registry, telemetry.points, "metric_points", metric_exporters)


def _check(registry: Registry, books: ItemBooks, items: str, exporters: Sequence[str]) -> None:
    words = items.replace("_", " ")
    difference = registry.gauge(
        f"spanmill_books_difference_{items}",
        f"Accepted {words} less those accounted for; anything but 0 is a fault of spanmill.",
        ("book",),
    )
    told: set[str] = set()

    def compare(book: str, accounted: float) -> None:
        missing = books.received.value("accepted") - accounted
        difference.set(missing, book)
        if missing and book not in told:
            told.add(book)
            _log.error("the books don't balance", extra={"book": book, items: int(missing)})

    def refresh() -> None:
        counted = (books.accepted.value(outcome) for outcome in ACCEPTED_OUTCOMES)
        compare(PROCESSING, sum(counted))
        for exporter in exporters:
            ended = (books.exported.value(exporter, outcome) for outcome in EXPORT_OUTCOMES)
            compare(exporter, sum(ended) + books.queued.value(exporter))

    registry.before_snapshot(refresh)
