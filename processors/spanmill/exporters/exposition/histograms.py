"""Histograms in the terms of the formats: cumulative buckets, spans of native ones."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.series.snapshot import Histograms

_LARGEST_GAP: Final = 2
_ROUNDING: Final = 1e-9


def cumulative_counts(data: Histograms) -> npt.NDArray[np.float64]:
    """How many observations are at most each bound: float64 (series, bounds + 1).

    The last one, +Inf, is exactly the count, and none is larger, which sums of fractional
    weights could miss by a rounding error.
    """
    cumulative = np.minimum(np.cumsum(data.bucket_counts, axis=1), data.counts[:, np.newaxis])
    cumulative[:, -1] = data.counts
    return cumulative


def whole_counts(cumulative: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The whole part of cumulative counts of weighted observations, of the same shape.

    It never falls, neither from bucket to bucket nor over time, and is at most 1 too low. What
    is a whole number but for the rounding of sums (99.99999999999999) stays one.
    """
    nearest = np.rint(cumulative)
    is_whole = np.abs(cumulative - nearest) <= _ROUNDING
    return np.where(is_whole, nearest, np.floor(cumulative))


def bucket_spans(
    first: int, counts: npt.NDArray[np.float64]
) -> tuple[list[tuple[int, int]], npt.NDArray[np.float64]]:
    """Runs of populated buckets as (offset, length), and the counts inside them, in a row.

    `first` is the index of the first of `counts`, float64 (m,). The first offset is a bucket's
    index, the others are the number of buckets left out since the run before. Gaps of one or
    two buckets stay inside a run as zeros, as in Prometheus's client_golang (makeBuckets): a
    new span takes more room than they do.
    """
    populated = np.flatnonzero(counts)
    if not len(populated):
        return [], populated.astype(np.float64)
    breaks = np.flatnonzero(np.diff(populated) > _LARGEST_GAP + 1)
    begins = [int(populated[0]), *populated[breaks + 1].tolist()]
    ends = [*(populated[breaks] + 1).tolist(), int(populated[-1]) + 1]
    spans = []
    offset, before = first, 0
    for begin, end in zip(begins, ends, strict=True):
        spans.append((offset + begin - before, end - begin))
        offset, before = 0, end
    if len(spans) == 1:
        return spans, counts[begins[0] : ends[0]]
    runs = [counts[begin:end] for begin, end in zip(begins, ends, strict=True)]
    return spans, np.concatenate(runs)
