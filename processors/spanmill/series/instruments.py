"""Instruments of spanmill's own health: counters, gauges and histograms that are kept for good."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import compress
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.snapshot import (
    Family,
    FamilySnapshot,
    Histograms,
    LabelValues,
    Values,
)
from spanmill.series.state_reader import StateReader

MOST_SERIES: Final = 1_000
"""How many series an instrument may have; further labels share its overflow series."""

_NS: Final = 1_000_000_000

Value = TypeVar("Value")


class _Instrument(Generic[Value]):
    """Values by labels, changed under the registry's lock.

    They are called several times a request: a known series costs one look-up in a dictionary.
    `time_ns` stamps new series.
    """

    def __init__(
        self,
        family: Family,
        label_names: tuple[str, ...],
        lock: AbstractContextManager[object],
        time_ns: Callable[[], int],
        empty: Callable[[], Value],
    ) -> None:
        self.family: Final = family
        self._label_names = label_names
        self._lock = lock
        self._time_ns = time_ns
        self._empty = empty
        self._not_kept: frozenset[LabelValues] = frozenset()
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
        self._created_ns.append(self._time_ns())
        return labels

    def begin_anew(self, series: Iterable[LabelValues]) -> None:
        """Don't keep these series: with each process they begin at 0, as what they count does."""
        self._not_kept = frozenset(series)

    def form(self) -> State:
        """What another process must declare alike to take the series over."""
        return {"type": self.family.type, "label_names": list(self._label_names)}

    def state(self) -> State:
        """A copy of all series; of those that begin anew with each process the labels alone."""
        is_kept = [key not in self._not_kept for key in self._values]
        return {
            "form": self.form(),
            "labels": list(self._values),
            "kept": np.array(is_kept, np.bool_),
            "created_ns": np.array(list(compress(self._created_ns, is_kept)), np.int64),
            **self._values_state(list(compress(self._values.values(), is_kept))),
        }

    def restoring(self, state: StateReader) -> Callable[[], None]:
        """What takes this state over; series that it doesn't have stay as they are."""
        order = [self._kept_labels(state, labels) for labels in state.values("labels")]
        labels = list(compress(order, state.array("kept", np.bool_, (len(order),)).tolist()))
        created = state.array("created_ns", np.int64, (len(labels),)).tolist()
        values = self._kept_values(state, len(labels))
        if len(set(order)) < len(order) or len(order) > MOST_SERIES + 1:
            raise state.error(f"{self.family.name} has a series twice, or too many of them")

        def restore() -> None:
            stamps = dict(zip(self._values, self._created_ns, strict=True))
            stamps |= dict(zip(labels, created, strict=True))
            known = self._values | dict(zip(labels, values, strict=True))
            # In the order that they had, then those that are declared here alone.
            there = [series for series in dict.fromkeys((*order, *known)) if series in known]
            self._values = {series: known[series] for series in there}
            self._created_ns = [stamps[series] for series in there]

        return restore

    def _kept_labels(self, state: StateReader, labels: object) -> LabelValues:
        """The labels of a kept series; the overflow series has one value more than the others."""
        if isinstance(labels, list | tuple) and all(type(value) is str for value in labels):
            if len(labels) == len(self._label_names):
                return tuple(labels)
            if len(labels) == len(self._overflow):
                return self._overflow
        raise state.error(f"{self.family.name} has other labels than {self._label_names}")

    def _values_state(self, values: Sequence[Value]) -> State:
        raise NotImplementedError

    def _kept_values(self, state: StateReader, series: int) -> list[Value]:
        raise NotImplementedError

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
        time_ns: Callable[[], int],
    ) -> None:
        super().__init__(family, label_names, lock, time_ns, float)

    def value(self, *labels: str) -> float:
        """The value now; 0 where there was none yet."""
        with self._lock:
            return self._values.get(labels, 0.0)

    def _values_state(self, values: Sequence[float]) -> State:
        return {"values": np.array(values, np.float64)}

    def _kept_values(self, state: StateReader, series: int) -> list[float]:
        values: list[float] = state.array("values", np.float64, (series,)).tolist()
        return values

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

    def resume(self, value: float, created_ns: int, *labels: str) -> None:
        """Go on from a value that was counted since `created_ns`, in place of what is there."""
        with self._lock:
            known = self._known(labels)
            self._values[known] = float(value)
            self._created_ns[list(self._values).index(known)] = created_ns


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
        time_ns: Callable[[], int],
        bounds_ns: Sequence[int],
    ) -> None:
        self._bounds_ns = tuple(bounds_ns)
        self._bounds = np.asarray(bounds_ns, np.uint64)
        super().__init__(family, label_names, lock, time_ns, self._empty_series)

    def form(self) -> State:
        """What another process must declare alike to take the series over."""
        return {**super().form(), "bounds_ns": list(self._bounds_ns)}

    def _empty_series(self) -> _Durations:
        return _Durations(np.zeros(len(self._bounds) + 1, np.int64), 0.0)

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

    def _values_state(self, values: Sequence[_Durations]) -> State:
        buckets = [series.buckets for series in values]
        return {
            "buckets": np.array(buckets, np.int64).reshape(-1, len(self._bounds) + 1),
            "sums_ns": np.array([series.sum_ns for series in values], np.float64),
        }

    def _kept_values(self, state: StateReader, series: int) -> list[_Durations]:
        buckets = state.array("buckets", np.int64, (series, len(self._bounds) + 1))
        sums: list[float] = state.array("sums_ns", np.float64, (series,)).tolist()
        return [_Durations(row.copy(), total) for row, total in zip(buckets, sums, strict=True)]

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

    def __init__(self, buckets: npt.NDArray[np.int64], sum_ns: float) -> None:
        self.buckets = buckets
        self.sum_ns = sum_ns
