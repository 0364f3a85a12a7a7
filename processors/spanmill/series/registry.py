"""The registry: it alone knows which families and series exist."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from spanmill.clock import Clock
from spanmill.errors import FamilyConflictError
from spanmill.series.counter import CounterColumn, GaugeColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.instruments import Counter, Gauge, Histogram
from spanmill.series.label_sets import LabelSets
from spanmill.series.snapshot import (
    Exemplar,
    Family,
    FamilySnapshot,
    Histograms,
    LabelValues,
    Values,
)

SECONDS: Final = 1_000_000_000
MILLISECONDS: Final = 1_000_000
"""Units of exposed durations, in nanoseconds."""

_HEALTH_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class LabelDialect:
    """The labels of a group of label sets in the words of another tool.

    `values` makes the values for `names` out of those of a label set; different label sets must
    stay different.
    """

    names: tuple[str, ...]
    values: Callable[[LabelValues], LabelValues]


class Bounded(Protocol):
    """Series of which there may be so many at once."""

    @property
    def limit(self) -> int:
        """How many there may be."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...


class ExemplarSource(Protocol):
    """What keeps the exemplars of a histogram."""

    def exemplars(
        self, rows: npt.NDArray[np.int64], layout: int, unit_ns: int
    ) -> Mapping[int, Mapping[int, Exemplar]]:
        """By position in `rows`, then by bucket of this layout; values in units of `unit_ns`."""
        ...


class Registry:
    """Families and their series.

    `lock` guards every value: hold it while figures that must agree are changed together. A
    snapshot is taken under it, so that what one scrape shows belongs to one moment.
    """

    def __init__(self, clock: Clock) -> None:
        self.lock: Final = threading.RLock()
        self._clock = clock
        self._label_sets: list[LabelSets] = []
        self._limited: dict[str, LabelSets] = {}
        self._bounded: dict[str, Bounded] = {}
        self._families: dict[str, Callable[[], FamilySnapshot]] = {}
        self._sources: list[Callable[[], Iterable[FamilySnapshot]]] = []
        self._taken: dict[str, str] = {}
        self._before_snapshot: list[Callable[[], None]] = []

    def label_sets(
        self,
        names: tuple[str, ...],
        limit: int,
        idle_timeout_ns: int | None,
        processor: str | None = None,
    ) -> LabelSets:
        """A new group of label sets, to which columns and families are tied.

        The group's size and limit are shown under the name of the processor that fills it.
        """
        label_sets = LabelSets(names, limit, idle_timeout_ns)
        self._label_sets.append(label_sets)
        if processor is not None:
            self._limited[processor] = label_sets
            self.show_size(processor, label_sets)
        return label_sets

    def show_size(self, processor: str, series: Bounded) -> None:
        """Show the number and the limit of a processor's series under its name."""
        self._bounded[processor] = series

    def bounded(self) -> Mapping[str, Bounded]:
        """The series whose number is bounded, by processor."""
        return self._bounded

    def limited(self) -> Mapping[str, LabelSets]:
        """The label sets that processors fill, by processor."""
        return self._limited

    def expose_values(
        self,
        family: Family,
        label_sets: LabelSets,
        column: CounterColumn,
        dialect: LabelDialect | None = None,
    ) -> None:
        """Show a column as a family, under the labels of a dialect where one is given.

        Raises FamilyConflictError where the name is taken.
        """

        def snapshot() -> FamilySnapshot:
            rows = label_sets.live_rows()
            return _snapshot(family, label_sets, dialect, rows, Values(column.values(rows)))

        self.expose_family(family, snapshot)

    def expose_histogram(
        self,
        family: Family,
        label_sets: LabelSets,
        column: HistogramColumn,
        *,
        layout: int = 0,
        unit_ns: int = SECONDS,
        native: bool = False,
        dialect: LabelDialect | None = None,
        exemplars: ExemplarSource | None = None,
    ) -> None:
        """Show one bucket layout of a histogram as a family; native only in seconds.

        Raises FamilyConflictError where the name is taken.
        """

        def snapshot() -> FamilySnapshot:
            rows = label_sets.live_rows()
            data = column.snapshot(rows, layout, unit_ns, native)
            if exemplars is not None:
                data = replace(data, exemplars=exemplars.exemplars(rows, layout, unit_ns))
            return _snapshot(family, label_sets, dialect, rows, data)

        self.expose_family(family, snapshot)

    def counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        """A counter of spanmill's own health."""
        label_sets = self.label_sets(labels, _HEALTH_LIMIT, None)
        column = CounterColumn(label_sets)
        self.expose_values(Family(name, "counter", text), label_sets, column)
        return Counter(self.lock, self._clock, label_sets, column)

    def gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        """A gauge of spanmill's own health."""
        label_sets = self.label_sets(labels, _HEALTH_LIMIT, None)
        column = GaugeColumn(label_sets)
        self.expose_values(Family(name, "gauge", text), label_sets, column)
        return Gauge(self.lock, self._clock, label_sets, column)

    def histogram(
        self, name: str, text: str, bounds_ns: Sequence[int], labels: tuple[str, ...] = ()
    ) -> Histogram:
        """A classic histogram of spanmill's own health, observed in ns, shown in seconds."""
        label_sets = self.label_sets(labels, _HEALTH_LIMIT, None)
        column = HistogramColumn(label_sets, [bounds_ns], native=False)
        self.expose_histogram(Family(name, "histogram", text), label_sets, column)
        return Histogram(self.lock, self._clock, label_sets, column)

    def before_snapshot(self, refresh: Callable[[], None]) -> None:
        """Call `refresh` under the lock before each snapshot: for gauges that are looked up."""
        self._before_snapshot.append(refresh)

    def expose_family(self, family: Family, snapshot: Callable[[], FamilySnapshot]) -> None:
        """Show a family whose series its owner keeps; `snapshot` is called under the lock.

        Raises FamilyConflictError where the name is taken.
        """
        self.claim(family)
        self._families[family.name] = snapshot

    def expose_source(self, families: Callable[[], Iterable[FamilySnapshot]]) -> None:
        """Show families that come and go; `families` is called under the lock.

        Each of them must hold a claim on its name.
        """
        self._sources.append(families)

    def claim(self, family: Family) -> None:
        """Take a family's name, and those of its samples in every format.

        Raises FamilyConflictError, which names the family that is there.
        """
        names = _exposed_names(family)
        for name in names:
            if name in self._taken:
                raise FamilyConflictError(
                    f"the metric {family.name} can't be shown beside {self._taken[name]}: "
                    f"both have the name {name}"
                )
        self._taken.update(dict.fromkeys(names, family.name))

    def release(self, family: Family) -> None:
        """Give up the names that `claim` took."""
        for name in _exposed_names(family):
            del self._taken[name]

    def snapshot(self, *, passed_through: bool = True) -> list[FamilySnapshot]:
        """A copy of every family that has a series, at one moment, in order of declaration.

        Without `passed_through` only those that were derived here, not those of sources.
        """
        with self.lock:
            for refresh in self._before_snapshot:
                refresh()
            families = [take() for take in self._families.values()]
            if passed_through:
                families.extend(family for source in self._sources for family in source())
        return [family for family in families if len(family.labels)]

    def expire(self, now_ns: int) -> int:
        """Remove the label sets that were idle for too long; returns how many."""
        with self.lock:
            return sum(label_sets.expire(now_ns) for label_sets in self._label_sets)


def _exposed_names(family: Family) -> set[str]:
    """The names of a family and of its samples, in the text formats.

    OpenMetrics calls a counter by its name without `_total`.
    """
    name = family.name
    if family.type == "counter":
        bare = name.removesuffix("_total")
        return {name, bare, f"{bare}_total", f"{bare}_created"}
    if family.type == "histogram":
        return {name, *(f"{name}_{part}" for part in ("bucket", "sum", "count", "created"))}
    if family.type == "summary":
        return {name, *(f"{name}_{part}" for part in ("sum", "count", "created"))}
    return {name}


def _snapshot(
    family: Family,
    label_sets: LabelSets,
    dialect: LabelDialect | None,
    rows: npt.NDArray[np.int64],
    data: Values | Histograms,
) -> FamilySnapshot:
    labels: list[LabelValues | None] = label_sets.labels(rows)
    if dialect is not None:
        labels = [values and dialect.values(values) for values in labels]
    return FamilySnapshot(
        family=family,
        label_names=dialect.names if dialect is not None else label_sets.names,
        labels=labels,
        created=label_sets.created_seconds(rows),
        data=data,
    )
