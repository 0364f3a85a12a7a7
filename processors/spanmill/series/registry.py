"""The registry: it alone knows which families and series exist."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, Protocol, TypeVar

from spanmill.clock import Clock
from spanmill.errors import FamilyConflictError
from spanmill.journal.state import Kept
from spanmill.series.column import KeptColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.instruments import Counter, Gauge, Histogram
from spanmill.series.kept_instruments import KeptInstruments
from spanmill.series.label_sets import LabelSets
from spanmill.series.slices import (
    ExemplarSource,
    HistogramFamily,
    LabelDialect,
    Moment,
    ValuesFamily,
    ValueSource,
)
from spanmill.series.snapshot import Family, FamilySnapshot

__all__ = ["MILLISECONDS", "SECONDS", "Bounded", "ExemplarSource", "LabelDialect", "Registry"]

AnyInstrument = TypeVar("AnyInstrument", Counter, Gauge, Histogram)

SECONDS: Final = 1_000_000_000
MILLISECONDS: Final = 1_000_000
"""Units of exposed durations, in nanoseconds."""


class Bounded(Protocol):
    """Series of which there may be so many at once."""

    @property
    def limit(self) -> int:
        """How many there may be."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...


class Registry:
    """Families and their series.

    `lock` guards every value: hold it while figures that must agree are changed together. What
    one scrape shows belongs to one moment, but for large groups of label sets (`families` says
    which): those are read in slices, so that nobody waits for the lock much longer than 1 ms.
    """

    def __init__(self, clock: Clock) -> None:
        self.lock: Final = threading.RLock()
        self._clock = clock
        self._label_sets: list[LabelSets] = []
        self._limited: dict[str, LabelSets] = {}
        self._bounded: dict[str, Bounded] = {}
        self._families: dict[str, Callable[[Moment], Iterator[FamilySnapshot]]] = {}
        self._sources: list[Callable[[], Iterable[FamilySnapshot]]] = []
        self._taken: dict[str, str] = {}
        self._before_snapshot: list[Callable[[], None]] = []
        self._exposed: list[ValuesFamily | HistogramFamily] = []
        self._kept: dict[str, Kept] = {}
        self._kept_instruments = KeptInstruments()
        self._record_ns: int | None = None
        self.keep("instruments", self._kept_instruments)

    def label_sets(
        self,
        names: tuple[str, ...],
        limit: int,
        idle_timeout_ns: int | None,
        processor: str | None = None,
    ) -> LabelSets:
        """A new group of label sets, to which columns and families are tied.

        The group's size and limit are shown under the name of the processor that fills it; by
        that name a restart brings it back, with the columns that families show.
        """
        label_sets = LabelSets(names, limit, idle_timeout_ns)
        self._label_sets.append(label_sets)
        if processor is not None:
            self.keep(f"series.{processor}", label_sets)
            self._limited[processor] = label_sets
            self.show_size(processor, label_sets)
        return label_sets

    def keep(self, name: str, part: Kept) -> None:
        """Bring this part's state back after a restart; the name is the same in all versions.

        States are restored in the order in which their parts were named here.
        """
        assert name not in self._kept, "each part has a name of its own"
        self._kept[name] = part

    def kept(self) -> Mapping[str, Kept]:
        """The parts whose state is brought back, by name."""
        return self._kept

    def show_size(self, processor: str, series: Bounded) -> None:
        """Show the number and the limit of a processor's series under its name."""
        self._bounded[processor] = series

    def bounded(self) -> Mapping[str, Bounded]:
        """The series whose number is bounded, by processor."""
        return self._bounded

    def limited(self) -> Mapping[str, LabelSets]:
        """The label sets that processors fill, by processor."""
        return self._limited

    def exposed(self) -> Sequence[ValuesFamily | HistogramFamily]:
        """The columns that are shown, each with its label sets, in order of declaration."""
        return self._exposed

    def expose_values(
        self,
        family: Family,
        label_sets: LabelSets,
        column: ValueSource,
        dialect: LabelDialect | None = None,
        where: ValueSource | None = None,
    ) -> None:
        """Show a column as a family, under the labels of a dialect where one is given.

        With `where` only the series at whose rows that isn't 0. Raises FamilyConflictError where
        the name is taken.
        """
        self.claim(family)
        _keep_column(family, label_sets, column)
        shown = ValuesFamily(family, label_sets, column, dialect, where)
        self._exposed.append(shown)
        self._families[family.name] = shown.begin

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
        self.claim(family)
        _keep_column(family, label_sets, column)
        shown = HistogramFamily(
            family, label_sets, column, layout, unit_ns, native, dialect, exemplars
        )
        self._exposed.append(shown)
        self._families[family.name] = shown.begin

    def applying(self, arrival_ns: int) -> None:
        """From now on a record of this arrival time is applied: kept instruments go by it."""
        self._record_ns = arrival_ns

    def counter(
        self, name: str, text: str, labels: tuple[str, ...] = (), *, kept: bool = False
    ) -> Counter:
        """A counter of spanmill's own health.

        Those that records change alone are `kept` over a restart. Others begin at 0 with each
        process, as what they count does.
        """
        counter = Counter(Family(name, "counter", text), labels, self.lock, self._clock_of(kept))
        return self._declared(counter, kept=kept)

    def gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        """A gauge of spanmill's own health."""
        gauge = Gauge(Family(name, "gauge", text), labels, self.lock, self._clock.time_ns)
        return self._declared(gauge, kept=False)

    def histogram(
        self,
        name: str,
        text: str,
        bounds_ns: Sequence[int],
        labels: tuple[str, ...] = (),
        *,
        kept: bool = False,
    ) -> Histogram:
        """A classic histogram of spanmill's own health, observed in ns, shown in seconds.

        `kept` as for a counter.
        """
        family = Family(name, "histogram", text)
        histogram = Histogram(family, labels, self.lock, self._clock_of(kept), bounds_ns)
        return self._declared(histogram, kept=kept)

    def before_snapshot(self, refresh: Callable[[], None]) -> None:
        """Call `refresh` under the lock before each snapshot: for gauges that are looked up."""
        self._before_snapshot.append(refresh)

    def expose_family(self, family: Family, snapshot: Callable[[], FamilySnapshot]) -> None:
        """Show a family whose series its owner keeps; `snapshot` is called under the lock.

        It must be short: some thousand series at most. Raises FamilyConflictError where the name
        is taken.
        """
        self.claim(family)
        self._families[family.name] = lambda _: iter((snapshot(),))

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

    def families(
        self, *, passed_through: bool = True, native: bool = True, exemplars: bool = True
    ) -> Iterator[FamilySnapshot]:
        """The families that have a series, one after the other in order of declaration.

        All are of the moment when the first is asked for, except series of large groups of label
        sets (more than SLICE_ROWS of them). A family of such a group comes as several snapshots,
        each copied when its turn comes. Of its series those are shown that were there at that
        moment and haven't disappeared; values are those of the moment; a histogram's are its own
        at a later one, up to the end of the reading. Memory: 12 to 16 bytes a series for the
        group, 8 for each family of values, and a slice.

        Without `passed_through` only those that were derived here, not those of sources; without
        `native` and `exemplars` histograms of label sets come without these.
        """
        with self.lock:
            moment = Moment(self.lock, native=native, exemplars=exemplars)
            readings = self._begin(moment, passed_through)
        while readings:
            yield from (family for family in readings.popleft() if len(family.labels))

    def snapshot(self, *, passed_through: bool = True) -> list[FamilySnapshot]:
        """A copy of every family that has a series, at one moment, in order of declaration.

        The lock is held meanwhile: for a few thousand series. See `families` for more.
        """
        with self.lock:
            readings = self._begin(Moment(self.lock, sys.maxsize), passed_through)
        return [family for family in chain.from_iterable(readings) if len(family.labels)]

    def _declared(self, instrument: AnyInstrument, *, kept: bool) -> AnyInstrument:
        self.expose_family(instrument.family, instrument.snapshot)
        if kept:
            self._kept_instruments.add(instrument)
        return instrument

    def _clock_of(self, kept: bool) -> Callable[[], int]:
        return self._record_time_ns if kept else self._clock.time_ns

    def _record_time_ns(self) -> int:
        """The time of the record that is applied; before the first one, now."""
        return self._clock.time_ns() if self._record_ns is None else self._record_ns

    def _begin(self, moment: Moment, passed_through: bool) -> deque[Iterator[FamilySnapshot]]:
        for refresh in self._before_snapshot:
            refresh()
        readings = deque(begin(moment) for begin in self._families.values())
        if passed_through:
            readings.extend(iter(list(source())) for source in self._sources)
        return readings

    def expire(self, now_ns: int) -> int:
        """Remove the label sets that were idle for too long; returns how many."""
        with self.lock:
            return sum(label_sets.expire(now_ns) for label_sets in self._label_sets)


def _keep_column(family: Family, label_sets: LabelSets, column: object) -> None:
    """Keep a column under the name of the first family that shows it."""
    if isinstance(column, KeptColumn) and not label_sets.keeps(column):
        label_sets.keep(family.name, column)


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
