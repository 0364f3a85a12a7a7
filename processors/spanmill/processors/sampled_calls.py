"""What sampled input adds to the counts of calls: how many spans, and how uncertain."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from spanmill.series.counter import CounterColumn
from spanmill.series.label_sets import LabelSets
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Family, FamilySnapshot, Values

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
    one label set, they were kept together, and the true error is larger. 16 bytes a label set.
    """

    def __init__(self, registry: Registry, label_sets: LabelSets) -> None:
        self._label_sets = label_sets
        self._spans = CounterColumn(label_sets)
        self._variance = CounterColumn(label_sets)
        for family in (_SPANS, _VARIANCE, _ERROR):
            registry.expose_family(family, partial(self._snapshot, family))

    def count(self, rows: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]) -> None:
        """Take the weights (n,) of spans of the label sets at `rows` (n,) into account."""
        sampled = weights != 1
        if not sampled.any():
            return
        rows, weights = rows[sampled], weights[sampled]
        self._spans.add(rows, np.ones(len(rows)))
        self._variance.add(rows, weights * (weights - 1))

    def _snapshot(self, family: Family) -> FamilySnapshot:
        rows = self._label_sets.live_rows()
        rows = rows[self._spans.values(rows) > 0]
        values = (self._spans if family is _SPANS else self._variance).values(rows)
        return FamilySnapshot(
            family,
            self._label_sets.names,
            self._label_sets.labels(rows),
            self._label_sets.created_seconds(rows),
            Values(np.sqrt(values) if family is _ERROR else values),
        )
