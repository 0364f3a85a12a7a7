"""Families whose series lie at rows of label sets, taken a slice of rows at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

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

SLICE_ROWS: Final = 2_048
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
    """The series of one group of label sets at one moment.

    `rows` and `created_ns` are int64 (n,). A row that changes hands afterwards is known by its
    created stamp.
    """

    def __init__(
        self,
        label_sets: LabelSets,
        rows: npt.NDArray[np.int64],
        created_ns: npt.NDArray[np.int64],
    ) -> None:
        self.label_sets: Final = label_sets
        self.rows: Final = rows
        self.created_ns: Final = created_ns

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, chosen: npt.NDArray[np.bool_]) -> ShownRows:
        """Some of them: `chosen` is bool (n,)."""
        return ShownRows(self.label_sets, self.rows[chosen], self.created_ns[chosen])

    @cached_property
    def order(self) -> npt.NDArray[np.int64]:
        """The positions in the order of creation, new series last: int64 (n,)."""
        return np.argsort(self.created_ns, kind="stable")


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
            shown = self._shown[id(label_sets)] = ShownRows(label_sets, *label_sets.shown())
        return shown


class SliceData(Protocol):
    """What the series of one family show."""

    def prepare(self) -> None:
        """Take what all slices need; called once, before the first of them."""
        ...

    def take(
        self, positions: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> Values | Histograms:
        """A copy for some series, by position in order of creation and by row; under the lock."""
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
            shown = shown.where(self.where.values(shown.rows) != 0)
        data = _ValuesData(shown, self.column.values(shown.rows))
        return Slices(moment, shown, self.family, self.dialect, data).begin()


class _ValuesData:
    def __init__(self, shown: ShownRows, values: npt.NDArray[np.float64]) -> None:
        self._shown = shown
        self._values = values

    def prepare(self) -> None:
        self._values = self._values[self._shown.order]

    def take(self, positions: npt.NDArray[np.int64], _rows: npt.NDArray[np.int64]) -> Values:
        return Values(self._values[positions])


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
        return Slices(moment, shown, self.family, self.dialect, data).begin()


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
        rows = self._shown.rows[self._shown.order]
        self._exemplars = family.exemplars.packed(records, rows, family.layout, family.unit_ns)

    def take(self, positions: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> Histograms:
        family = self._family
        native = family.native and self._moment.native
        histograms = family.column.snapshot(rows, family.layout, family.unit_ns, native)
        if self._exemplars is None:
            return histograms
        return replace(histograms, exemplars=self._exemplars.part(positions))


@dataclass(frozen=True, slots=True)
class Slices:
    """The series of a family in order of creation, some in each hold of the lock.

    A series whose label set has lost its row meanwhile is left out. Nothing comes twice: a label
    set that came back has another row, or its row another created stamp.
    """

    moment: Moment
    shown: ShownRows
    family: Family
    dialect: LabelDialect | None
    data: SliceData

    def begin(self) -> Iterator[FamilySnapshot]:
        """The slices, where there are several; otherwise all of it, taken now."""
        slices = self._taken()
        return slices if len(self.shown) > self.moment.slice_rows else iter(list(slices))

    def _taken(self) -> Iterator[FamilySnapshot]:
        shown, label_sets = self.shown, self.shown.label_sets
        self.data.prepare()
        for begin in range(0, len(shown), self.moment.slice_rows):
            these = shown.order[begin : begin + self.moment.slice_rows]
            with self.moment.lock:
                there = np.flatnonzero(
                    label_sets.still_shown(shown.rows[these], shown.created_ns[these])
                )
                these = these[there]
                rows = shown.rows[these]
                labels = label_sets.labels(rows)
                data = self.data.take(begin + there, rows)
            yield self._snapshot(labels, shown.created_ns[these] / 1e9, data)

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
