"""Rates, error ratios and percentiles over a sliding window of scrapes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from spanmill.cli.demo.scrape import Edge, Operation, Scrape, Totals

_NOTHING = Totals()


@dataclass(frozen=True, slots=True)
class Row:
    """One operation over the window: spans a second, errors as a ratio, percentiles in seconds.

    What no span of the window can say is None.
    """

    operation: Operation
    rate: float
    error_ratio: float | None
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class EdgeRow:
    """One edge over the window: requests a second, failed ones as a ratio, p95 in seconds."""

    edge: Edge
    rate: float
    error_ratio: float | None
    p95: float | None


class Window:
    """The scrapes of the last `seconds`, and the differences between the first and the last."""

    def __init__(self, seconds: float = 10.0) -> None:
        self.seconds = seconds
        self._scrapes: deque[Scrape] = deque()

    def add(self, scrape: Scrape) -> None:
        """Take a new scrape and forget those that are too old to be the window's start."""
        self._scrapes.append(scrape)
        while len(self._scrapes) > 2 and self._scrapes[1].at <= scrape.at - self.seconds:
            self._scrapes.popleft()

    @property
    def latest(self) -> Scrape | None:
        """The newest scrape."""
        return self._scrapes[-1] if self._scrapes else None

    def rows(self) -> list[Row]:
        """One row for each operation ever seen; empty until there are two scrapes."""
        if len(self._scrapes) < 2:
            return []
        old, new = self._scrapes[0], self._scrapes[-1]
        elapsed = new.at - old.at
        return [
            # An operation that the old scrape lacks had 0: the processor started with the demo.
            _row(operation, old.operations.get(operation, _NOTHING), totals, elapsed)
            for operation, totals in sorted(new.operations.items())
        ]

    def edges(self) -> list[EdgeRow]:
        """One row for each edge ever seen; empty until there are two scrapes."""
        if len(self._scrapes) < 2:
            return []
        old, new = self._scrapes[0], self._scrapes[-1]
        return [
            _edge_row(edge, old.edges.get(edge, _NOTHING), totals, new.at - old.at)
            for edge, totals in sorted(new.edges.items())
        ]


def _row(operation: Operation, old: Totals, new: Totals, elapsed: float) -> Row:
    rate, error_ratio, buckets = _rises(old, new, elapsed)
    return Row(
        operation,
        rate,
        error_ratio,
        p50=quantile(0.50, buckets),
        p95=quantile(0.95, buckets),
        p99=quantile(0.99, buckets),
    )


def _edge_row(edge: Edge, old: Totals, new: Totals, elapsed: float) -> EdgeRow:
    rate, error_ratio, buckets = _rises(old, new, elapsed)
    return EdgeRow(edge, rate, error_ratio, p95=quantile(0.95, buckets))


def _rises(
    old: Totals, new: Totals, elapsed: float
) -> tuple[float, float | None, dict[float, float]]:
    """The rate a second, the ratio of errors, and the rise of each bucket."""
    calls = increase(old.calls, new.calls)
    errors = increase(old.errors, new.errors)
    buckets = {
        bound: increase(old.buckets.get(bound, 0.0), value) for bound, value in new.buckets.items()
    }
    rate = calls / elapsed if elapsed > 0 else 0.0
    return rate, errors / calls if calls else None, buckets


def increase(old: float, new: float) -> float:
    """By how much a counter rose; a counter that fell was reset, and its value is the rise."""
    return new - old if new >= old else new


def quantile(q: float, buckets: Mapping[float, float]) -> float | None:
    """The q-quantile in the unit of the bounds; None if the histogram is empty.

    `buckets` are cumulative, by upper bound, +Inf included. Interpolates linearly inside a bucket
    and answers the highest finite bound for the last one, as PromQL's `histogram_quantile` does.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    rank = q * total
    lower, below = 0.0, 0.0
    for bound in bounds:
        here = buckets[bound]
        if here >= rank and here > below:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (rank - below) / (here - below)
        lower, below = bound, here
    return lower
