"""What sampled input adds to the counts of calls: how many spans, and how uncertain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.counter import CounterColumn
from spanmill.series.kept_counts import read_counts
from spanmill.series.label_sets import LabelSets
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Family
from spanmill.series.state_reader import StateReader

_SPANS = Family(
    "spanmill_sampled_spans_total", "counter", "Spans that stand for several, by label set."
)
_VARIANCE = Family(
    "spanmill_calls_variance_total",
    "counter",
    "Variance of the adjusted calls; the root of its increase is their standard error.",
)
_ERROR = Family(
    "spanmill_calls_standard_error",
    "gauge",
    "Standard error of the adjusted calls since their series began.",
)


class SampledCalls:
    """The uncertainty of adjusted counts, for the label sets that have any.

    A span that was kept with probability p counts 1/p = w times (the estimator of Horvitz and
    Thompson, 1952); its share in the variance of the sum is (1 - p)/p^2 = w(w - 1), estimated
    without bias from the spans that were kept. Variances add up, over spans and over series.
    That takes spans as kept independently of each other: where one trace has several spans of
    one label set, they were kept together, and the true error is larger. 16 bytes a label set, from
    the first such span on.
    """

    def __init__(self, registry: Registry, label_sets: LabelSets) -> None:
        self._spans = _Sums(label_sets)
        self._variance = _Sums(label_sets)
        for family, values in (
            (_SPANS, self._spans),
            (_VARIANCE, self._variance),
            (_ERROR, _Roots(self._variance)),
        ):
            registry.expose_values(family, label_sets, values, where=self._spans)

    def count(self, rows: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]) -> None:
        """Take the weights (n,) of spans of the label sets at `rows` (n,) into account."""
        sampled = weights != 1
        if not sampled.any():
            return
        rows, weights = rows[sampled], weights[sampled]
        self._spans.add(rows, np.ones(len(rows)))
        self._variance.add(rows, weights * (weights - 1))


class _Sums:
    """A counter of label sets that takes memory from its first amount on."""

    def __init__(self, label_sets: LabelSets) -> None:
        self._label_sets = label_sets
        self._column: CounterColumn | None = None

    def add(self, rows: npt.NDArray[np.int64], amounts: npt.NDArray[np.float64]) -> None:
        if self._column is None:
            self._column = CounterColumn(self._label_sets)
        self._column.add(rows, amounts)

    def values(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return self._column.values(rows) if self._column is not None else np.zeros(len(rows))

    def kept(self, rows: npt.NDArray[np.int64]) -> State:
        return {"sums": self._column.kept(rows) if self._column is not None else None}

    def restoring(self, rows: npt.NDArray[np.int64], state: StateReader) -> Callable[[], None]:
        sums = state.optional_part("sums")
        if sums is None:
            return lambda: None
        values = read_counts(sums.part("values"), len(rows))
        return lambda: self.add(rows, values)


class _Roots:
    """The square roots of a counter's values."""

    def __init__(self, sums: _Sums) -> None:
        self._sums = sums

    def values(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return np.sqrt(self._sums.values(rows))
