"""The books: what came in is accounted for, to the last span and point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spanmill.cli.doctor.finding import Finding, fail, ok
from spanmill.cli.doctor.samples import Samples

_ITEMS: Final = {"spans": "spans", "metric_points": "metric points"}
_MEND: Final = "this is a fault of spanmill: please report it with the output of /metrics"


def check_books(samples: Samples) -> Iterator[Finding]:
    """Each identity of the books, of spans and of metric points, from one scrape."""
    for items, words in _ITEMS.items():
        yield _book(samples, items, words)
    yield _rejected(samples)


def _book(samples: Samples, items: str, words: str) -> Finding:
    what = f"books of {words}"
    received = f"spanmill_{items}_received_total"
    accepted = samples.value(received, outcome="accepted")
    if accepted is None:
        return fail(what, "the process shows none", "is it spanmill's scrape endpoint?")
    sides = {"counted": samples.sum(f"spanmill_{items}_accepted_total")}
    queued = f"spanmill_export_queued_{items}"
    exported = f"spanmill_export_{items}_total"
    for exporter in sorted({*_exporters(samples, queued), *_exporters(samples, exported)}):
        sides[f"accounted for by {exporter}"] = samples.sum(
            exported, exporter=exporter
        ) + samples.sum(queued, exporter=exporter)
    wrong = [f"{value:.0f} {side}" for side, value in sides.items() if value != accepted]
    for labels, difference in samples.each(f"spanmill_books_difference_{items}"):
        if difference and not wrong:
            wrong.append(f"{difference:.0f} missing by its own account in {labels.get('book')}")
    if wrong:
        return fail(what, f"{accepted:.0f} accepted, but {', '.join(wrong)}", _MEND)
    others = ", ".join(
        f"{samples.sum(received, outcome=outcome):,.0f} {outcome}"
        for outcome in ("invalid", "refused", "duplicate")
    )
    return ok(what, f"balanced: {accepted:,.0f} accepted ({others})")


def _rejected(samples: Samples) -> Finding:
    """Rejected items are counted twice: by outcome, and by the reason."""
    by_reason = samples.sum("spanmill_receiver_refused_items_total")
    by_outcome = sum(
        samples.sum(f"spanmill_{items}_received_total", outcome="invalid") for items in _ITEMS
    )
    if by_reason != by_outcome:
        return fail(
            "books of rejected items", f"{by_outcome:.0f} invalid, {by_reason:.0f} by reason", _MEND
        )
    return ok("books of rejected items", f"balanced: {by_reason:,.0f} rejected alone")


def _exporters(samples: Samples, name: str) -> list[str]:
    return samples.values_of(name, "exporter")
