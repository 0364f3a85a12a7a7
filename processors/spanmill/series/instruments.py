"""Instruments of spanmill's own health: columns whose rows are looked up by label values."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from spanmill.clock import Clock
from spanmill.series.counter import CounterColumn, GaugeColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.label_sets import LabelSets
from spanmill.series.snapshot import LabelValues

InstrumentColumn = TypeVar("InstrumentColumn", CounterColumn, GaugeColumn, HistogramColumn)

_ONE = np.ones(1)


class _Instrument(Generic[InstrumentColumn]):
    """A column whose rows are looked up by label values, under the registry's lock."""

    def __init__(
        self,
        lock: AbstractContextManager[object],
        clock: Clock,
        label_sets: LabelSets,
        column: InstrumentColumn,
    ) -> None:
        self._lock = lock
        self._clock = clock
        self._label_sets = label_sets
        self._column: InstrumentColumn = column

    def _row(self, labels: LabelValues) -> npt.NDArray[np.int64]:
        return self._label_sets.rows([labels], self._clock.time_ns())


class Counter(_Instrument[CounterColumn]):
    """A counter of spanmill's own health."""

    def add(self, amount: float, *labels: str) -> None:
        """Add an amount; 0 shows the series before anything has happened."""
        with self._lock:
            self._column.add(self._row(labels), _ONE * amount)

    def value(self, *labels: str) -> float:
        """The sum so far."""
        with self._lock:
            return float(self._column.values(self._row(labels))[0])


class Gauge(_Instrument[GaugeColumn]):
    """A gauge of spanmill's own health."""

    def set(self, value: float, *labels: str) -> None:
        """Replace the value."""
        with self._lock:
            self._column.set(int(self._row(labels)[0]), value)

    def value(self, *labels: str) -> float:
        """The value that was set last."""
        with self._lock:
            return float(self._column.values(self._row(labels))[0])


class Histogram(_Instrument[HistogramColumn]):
    """A classic histogram of spanmill's own health."""

    def observe(self, durations: npt.NDArray[np.uint64], *labels: str) -> None:
        """Count durations, uint64 (n,) in nanoseconds."""
        with self._lock:
            rows = np.repeat(self._row(labels), len(durations))
            self._column.observe(rows, durations, np.ones(len(durations)))
