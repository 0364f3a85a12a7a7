"""Families whose series lie at rows of label sets, taken a slice of rows at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from spanmill.series.column import Scalar
from spanmill.series.exemplar_records import Records
from spanmill.series.histogram import HistogramColumn
from spanmill.series.label_sets import LabelSets
from spanmill.series.packed_exemplars import PackedExemplars
from spanmill.series.snapshot import (
    Family,
    FamilySnapshot,
    Histograms,
    LabelValues,
    Values,
)

SLICE_ROWS: Final = 1_024
"""Series that are copied in one hold of the lock: a millisecond or two with native histograms."""


@dataclass(frozen=True, slots=True)
class LabelDialect:
    """The labels of a group of label sets in the words of another tool.

    `values` makes the values for `names` out of those of a label set; different label sets must
    stay different.
    """

    names: tuple[str, ...]
    values: Callable[[LabelValues], LabelValues]


class ValueSource(Protocol):
    """A number for each row of a group of label sets."""

    def values(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """A copy of the values at these rows: float64 (n,)."""
        ...


class ExemplarSource(Protocol):
    """What keeps the exemplars of a histogram: a copy needs the lock, its order doesn't."""

    def shown(self) -> Records:
        """A copy of the records as they are now: (n,)."""
        ...

    def packed(
        self, records: Records, rows: npt.NDArray[np.int64], layout: int, unit_ns: int
    ) -> PackedExemplars:
        """By position in `rows`, then by bucket of this layout; values in units of `unit_ns`."""
        ...


class ShownRows:
    """The series of one group of label sets at one moment, n of them: 12 bytes each.

    A row that changes hands afterwards is known by its created stamp.
    """

    def __init__(
        self,
        label_sets: LabelSets,
        rows: npt.NDArray[np.int32],
        created_ns: npt.NDArray[np.int64],
    ) -> None:
        self.label_sets: Final = label_sets
        self._rows = rows
        self._created_ns = created_ns

    def __len__(self) -> int:
        return len(self._rows)

    def where(self, chosen: npt.NDArray[np.bool_]) -> ShownRows:
        """Some of them: `chosen` is bool (n,)."""
        return ShownRows(self.label_sets, self._rows[chosen], self._created_ns[chosen])

    def rows(self) -> npt.NDArray[np.int64]:
        """The rows, ascending: int64 (n,)."""
        return self._rows.astype(np.int64)

    @cached_property
    def order(self) -> npt.NDArray[np.int32] | None:
        """Positions in the order of creation, new series last: (n,); None if rows are in it."""
        if (self._created_ns[1:] >= self._created_ns[:-1]).all():
            return None
        return np.argsort(self._created_ns, kind="stable").astype(np.int32)

    def in_order(self, values: npt.NDArray[Scalar], begin: int, end: int) -> npt.NDArray[Scalar]:
        """From `values`, (n,), those that stand from `begin` to `end` in order of creation."""
        return values[begin:end] if self.order is None else values[self.order[begin:end]]

    def slice(self, begin: int, end: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows and created stamps from `begin` to `end` in order of creation."""
        rows = self.in_order(self._rows, begin, end).astype(np.int64)
        return rows, self.in_order(self._created_ns, begin, end)


class Moment:
    """One reading of a registry: its families belong to one moment, but for the large ones.

    Groups of more than `slice_rows` series are read on while others change what is there.
    Without `native` histograms have no native form, without `exemplars` no exemplars.
    """

    def __init__(
        self,
        lock: threading.RLock,
        slice_rows: int = SLICE_ROWS,
        *,
        native: bool = True,
        exemplars: bool = True,
    ) -> None:
        self.lock: Final = lock
        self.slice_rows: Final = slice_rows
        self.native: Final = native
        self.exemplars: Final = exemplars
        self._shown: dict[int, ShownRows] = {}

    def shown(self, label_sets: LabelSets) -> ShownRows:
        """The series of a group, the same for all its families; called under the lock."""
        shown = self._shown.get(id(label_sets))
        if shown is None:
            rows, created_ns = label_sets.shown()
            shown = ShownRows(label_sets, rows.astype(np.int32), created_ns)
            self._shown[id(label_sets)] = shown
        return shown


class SliceData(Protocol):
    """What the series of one family show."""

    def prepare(self) -> None:
        """Take what all slices need; called once, before the first of them."""
        ...

    def take(
        self, begin: int, there: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> Values | Histograms:
        """A copy for the series at begin + there in order of creation, whose rows these are.

        Called under the lock; there is at least one.
        """
        ...


@dataclass(frozen=True, slots=True)
class ValuesFamily:
    """A column that is shown as a family, under the labels of a dialect where one is given.

    With `where` only the rows at which that isn't 0. The values of all series belong to the
    moment; what one shows in sum agrees with other figures of it.
    """

    family: Family
    label_sets: LabelSets
    column: ValueSource
    dialect: LabelDialect | None = None
    where: ValueSource | None = None

    def begin(self, moment: Moment) -> Iterator[FamilySnapshot]:
        """Take the family at this moment, under the lock; the slices are taken later."""
        shown = moment.shown(self.label_sets)
        if self.where is not None:
            shown = shown.where(self.where.values(shown.rows()) != 0)
        data = _ValuesData(shown, self.column.values(shown.rows()))
        begun_ns = self.label_sets.begun_ns(self.column)
        return Slices(moment, shown, self.family, self.dialect, data, begun_ns).begin()


class _ValuesData:
    def __init__(self, shown: ShownRows, values: npt.NDArray[np.float64]) -> None:
        self._shown = shown
        self._values = values

    def prepare(self) -> None:
        """Nothing: all values were taken at the moment."""

    def take(
        self, begin: int, there: npt.NDArray[np.int64], _rows: npt.NDArray[np.int64]
    ) -> Values:
        values = self._shown.in_order(self._values, begin, begin + int(there[-1]) + 1)
        return Values(values[there])


@dataclass(frozen=True, slots=True)
class HistogramFamily:
    """One bucket layout of a histogram as a family; native only in seconds.

    Each series belongs to one moment. The exemplars are taken before the counts: there is none
    in a bucket that is shown empty.
    """

    family: Family
    label_sets: LabelSets
    column: HistogramColumn
    layout: int
    unit_ns: int
    native: bool
    dialect: LabelDialect | None = None
    exemplars: ExemplarSource | None = None

    def begin(self, moment: Moment) -> Iterator[FamilySnapshot]:
        """Take the family at this moment, under the lock; the slices are taken later."""
        shown = moment.shown(self.label_sets)
        data = _HistogramData(self, moment, shown)
        begun_ns = self.label_sets.begun_ns(self.column)
        return Slices(moment, shown, self.family, self.dialect, data, begun_ns).begin()


class _HistogramData:
    def __init__(self, family: HistogramFamily, moment: Moment, shown: ShownRows) -> None:
        self._family = family
        self._moment = moment
        self._shown = shown
        self._exemplars: PackedExemplars | None = None

    def prepare(self) -> None:
        family = self._family
        if family.exemplars is None or not self._moment.exemplars:
            return
        with self._moment.lock:
            records = family.exemplars.shown()
        rows, _ = self._shown.slice(0, len(self._shown))
        self._exemplars = family.exemplars.packed(records, rows, family.layout, family.unit_ns)

    def take(
        self, begin: int, there: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> Histograms:
        family = self._family
        native = family.native and self._moment.native
        histograms = family.column.snapshot(rows, family.layout, family.unit_ns, native)
        if self._exemplars is None:
            return histograms
        return replace(histograms, exemplars=self._exemplars.part(begin + there))


@dataclass(frozen=True, slots=True)
class Slices:
    """The series of a family in order of creation, some in each hold of the lock.

    A series whose label set has lost its row meanwhile is left out. Nothing comes twice: a label
    set that came back has another row, or its row another created stamp. No series is shown as
    older than `begun_ns`, when the family itself began.
    """

    moment: Moment
    shown: ShownRows
    family: Family
    dialect: LabelDialect | None
    data: SliceData
    begun_ns: int

    def begin(self) -> Iterator[FamilySnapshot]:
        """The slices, where there are several; otherwise all of it, taken now."""
        slices = self._taken()
        return slices if len(self.shown) > self.moment.slice_rows else iter(list(slices))

    def _taken(self) -> Iterator[FamilySnapshot]:
        shown, label_sets = self.shown, self.shown.label_sets
        self.data.prepare()
        for begin in range(0, len(shown), self.moment.slice_rows):
            rows, created_ns = shown.slice(begin, begin + self.moment.slice_rows)
            with self.moment.lock:
                there = np.flatnonzero(label_sets.still_shown(rows, created_ns))
                if not len(there):
                    continue
                rows = rows[there]
                labels = label_sets.labels(rows)
                data = self.data.take(begin, there, rows)
            created = np.maximum(created_ns[there], self.begun_ns) / 1e9
            yield self._snapshot(labels, created, data)

    def _snapshot(
        self,
        labels: list[LabelValues | None],
        created: npt.NDArray[np.float64],
        data: Values | Histograms,
    ) -> FamilySnapshot:
        names = self.shown.label_sets.names
        if self.dialect is not None:
            names, translate = self.dialect.names, self.dialect.values
            labels = [values and translate(values) for values in labels]
        return FamilySnapshot(self.family, names, labels, created, data)
