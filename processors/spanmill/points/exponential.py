"""Exponential buckets: indexes, scales, and how two of them are merged.

Source: OpenTelemetry's metrics data model, "ExponentialHistogram": bucket i at scale s covers
(b^i, b^(i+1)] with b = 2^(2^-s). At a scale lower by k the bucket is `i >> k`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from spanmill.points.batch import NO_BUCKETS, Buckets

MAX_SCALE: Final = 8
"""The finest scale that is kept: the finest schema of Prometheus's native histograms."""
LOWEST_SCHEMA: Final = -4
"""The coarsest schema of Prometheus's native histograms."""
MIN_SCALE: Final = -10
"""The coarsest one that means something: two buckets cover every positive double."""
MAX_BUCKETS: Final = 1024
"""On either side of 0; a histogram with more gets a lower scale."""

_LOWEST_EXPONENT: Final = -1075
_HIGHEST_EXPONENT: Final = 1024
"""Doubles above 0 lie in (2^-1075, 2^1024]."""


def trimmed(first: int, counts: Sequence[int]) -> Buckets:
    """Buckets without the empty ones at both ends."""
    begin, end = 0, len(counts)
    while begin < end and not counts[begin]:
        begin += 1
    while begin < end and not counts[end - 1]:
        end -= 1
    return Buckets(first + begin, tuple(counts[begin:end])) if begin < end else NO_BUCKETS


def in_range(buckets: Buckets, scale: int) -> bool:
    """Whether all of them lie where doubles are."""
    if not buckets.counts:
        return True
    last = buckets.first + len(buckets.counts) - 1
    # Shifted right, so that no scale makes the numbers huge.
    low = buckets.first >> scale if scale >= 0 else buckets.first << -scale
    high = last >> scale if scale >= 0 else last << -scale
    # A bucket of a scale below 0 reaches over the range of doubles where it holds an end of it.
    width = 1 if scale >= 0 else 1 << -scale
    return low + width > _LOWEST_EXPONENT and high < _HIGHEST_EXPONENT


def lowered(buckets: Buckets, steps: int) -> Buckets:
    """The same counts at a scale lower by `steps`."""
    if not steps or not buckets.counts:
        return buckets
    first = buckets.first >> steps
    counts = [0] * ((buckets.first + len(buckets.counts) - 1 >> steps) - first + 1)
    for index, count in enumerate(buckets.counts, buckets.first):
        counts[(index >> steps) - first] += count
    return Buckets(first, tuple(counts))


def added(left: Buckets, right: Buckets) -> Buckets:
    """The sum of buckets of one scale."""
    if not left.counts or not right.counts:
        return left if left.counts else right
    first = min(left.first, right.first)
    counts = [0] * (max(_end(left), _end(right)) - first)
    for buckets in (left, right):
        for index, count in enumerate(buckets.counts, buckets.first - first):
            counts[index] += count
    return Buckets(first, tuple(counts))


def steps_to_fit(sides: Iterable[Sequence[Buckets]], most: int) -> int:
    """How much lower the scale must be, so that each side's buckets together span `most`.

    A side is buckets of one scale that are to be added.
    """
    steps = 0
    for side in sides:
        populated = [buckets for buckets in side if buckets.counts]
        if not populated:
            continue
        low = min(buckets.first for buckets in populated)
        high = max(_end(buckets) for buckets in populated) - 1
        while (high >> steps) - (low >> steps) >= most:
            steps += 1
    return steps


def _end(buckets: Buckets) -> int:
    return buckets.first + len(buckets.counts)
