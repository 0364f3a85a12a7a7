from __future__ import annotations

from dataclasses import replace

import pytest
from benchmarks.ingest.books import Books, Delivered

BALANCED = Books(
    sent=1000,
    acknowledged=1000,
    counted={"calls_total": 1000.0, "other_calls_total": 1000.0},
    delivered=Delivered(spans=1000, distinct=1000),
)


def test_books_that_balance_are_not_void() -> None:
    assert BALANCED.void() is None


def test_nothing_need_be_delivered_where_nothing_is_forwarded() -> None:
    assert replace(BALANCED, delivered=None).void() is None


@pytest.mark.parametrize(
    ("books", "reason"),
    [
        (
            replace(BALANCED, failures=("UNAVAILABLE: queue full", "UNKNOWN: lost")),
            "2 requests failed, the first with UNAVAILABLE: queue full",
        ),
        (replace(BALANCED, acknowledged=990), "990 of 1,000 spans acknowledged"),
        (
            replace(BALANCED, counted={"calls_total": 1000.0, "other_calls_total": 1001.0}),
            "1,001 of 1,000 spans counted in other_calls_total",
        ),
        (replace(BALANCED, delivered=Delivered(999, 999)), "999 of 1,000 spans delivered"),
        (
            # One was lost and another came twice: the number alone would not tell.
            replace(BALANCED, delivered=Delivered(1000, 999)),
            "999 of 1,000 spans delivered",
        ),
        (replace(BALANCED, delivered=Delivered(1010, 1000)), "10 spans delivered twice"),
    ],
)
def test_a_difference_between_two_sides_makes_the_figures_void(books: Books, reason: str) -> None:
    assert books.void() == reason
