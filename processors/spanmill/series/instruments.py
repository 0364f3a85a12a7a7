"""Instruments of spanmill's own health: counters, gauges and histograms that are kept for good."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from spanmill.clock import Clock
from spanmill.series.snapshot import (
    Family,
    FamilySnapshot,
    Histograms,
    LabelValues,
    Values,
)

MOST_SERIES: Final = 1_000
"""How many series an instrument may have; further labels share its overflow series."""

_NS: Final = 1_000_000_000

Value = TypeVar("Value")


class _Instrument(Generic[Value]):
    """Values by labels, changed under the registry's lock.

    They are called several times a request: a known series costs one look-up in a dictionary.
    """

    def __init__(
        self,
        family: Family,
        label_names: tuple[str, ...],
        lock: AbstractContextManager[object],
        clock: Clock,
        empty: Callable[[], Value],
    ) -> None:
        self.family: Final = family
        self._label_names = label_names
        self._lock = lock
        self._clock = clock
        self._empty = empty
        # One value more than a series has: no labels are equal to it.
        self._overflow = ("",) * (len(label_names) + 1)
        self._values: dict[LabelValues, Value] = {}
        self._created_ns: list[int] = []

    def _known(self, labels: LabelValues) -> LabelValues:
        """The labels themselves, or those of the overflow series; there is a value for them."""
        if labels in self._values:
            return labels
        if len(self._values) >= MOST_SERIES:
            labels = self._overflow
            if labels in self._values:
                return labels
        self._values[labels] = self._empty()
        self._created_ns.append(self._clock.time_ns())
        return labels

    def _snapshot(self, data: Values | Histograms) -> FamilySnapshot:
        return FamilySnapshot(
            family=self.family,
            label_names=self._label_names,
            labels=[None if labels is self._overflow else labels for labels in self._values],
            created=np.array(self._created_ns, np.int64) / 1e9,
            data=data,
        )


class _Number(_Instrument[float]):
    """An instrument with one number a series."""

    def __init__(
        self,
        family: Family,
        label_names: tuple[str, ...],
        lock: AbstractContextManager[object],
        clock: Clock,
    ) -> None:
        super().__init__(family, label_names, lock, clock, float)

    def value(self, *labels: str) -> float:
        """The value now; 0 where there was none yet."""
        with self._lock:
            return self._values.get(labels, 0.0)

    def snapshot(self) -> FamilySnapshot:
        """A copy of all series; called under the registry's lock."""
        return self._snapshot(Values(np.array(list(self._values.values()), np.float64)))


class Counter(_Number):
    """A counter of spanmill's own health."""

    def add(self, amount: float, *labels: str) -> None:
        """Add an amount; 0 shows the series before anything has happened."""
        with self._lock:
            try:
                self._values[labels] += amount
            except KeyError:
                self._values[self._known(labels)] += float(amount)


class Gauge(_Number):
    """A gauge of spanmill's own health."""

    def set(self, value: float, *labels: str) -> None:
        """Replace the value."""
        with self._lock:
            self._values[self._known(labels)] = value


class Histogram(_Instrument["_Durations"]):
    """A classic histogram of spanmill's own health, observed in ns, shown in seconds."""

    def __init__(
        self,
        family: Family,
        label_names: tuple[str, ...],
        lock: AbstractContextManager[object],
        clock: Clock,
        bounds_ns: Sequence[int],
    ) -> None:
        self._bounds_ns = tuple(bounds_ns)
        self._bounds = np.asarray(bounds_ns, np.uint64)
        super().__init__(
            family, label_names, lock, clock, lambda: _Durations(len(self._bounds) + 1)
        )

    def observe(self, durations: npt.NDArray[np.uint64], *labels: str) -> None:
        """Count durations, uint64 (n,) in nanoseconds."""
        buckets = np.searchsorted(self._bounds, durations)
        counts = np.bincount(buckets, minlength=len(self._bounds) + 1)
        total = float(durations.sum(dtype=np.float64))
        with self._lock:
            series = self._values[self._known(labels)]
            series.buckets += counts
            series.sum_ns += total

    def observe_one(self, duration_ns: int, *labels: str) -> None:
        """Count one duration in nanoseconds."""
        bucket = bisect_left(self._bounds_ns, duration_ns)
        with self._lock:
            series = self._values[self._known(labels)]
            series.buckets[bucket] += 1
            series.sum_ns += duration_ns

    def snapshot(self) -> FamilySnapshot:
        """A copy of all series; called under the registry's lock."""
        all_series = self._values.values()
        buckets = np.array([series.buckets for series in all_series], np.float64)
        buckets = buckets.reshape(len(all_series), len(self._bounds) + 1)
        return self._snapshot(
            Histograms(
                bounds=tuple((self._bounds.astype(np.float64) / _NS).tolist()),
                bucket_counts=buckets,
                counts=buckets.sum(axis=1),
                sums=np.array([series.sum_ns for series in all_series], np.float64) / _NS,
                native=None,
            )
        )


class _Durations:
    """What one series of a histogram has counted: whole numbers, and their sum in ns."""

    __slots__ = ("buckets", "sum_ns")

    def __init__(self, buckets: int) -> None:
        self.buckets = np.zeros(buckets, np.int64)
        self.sum_ns = 0.0
