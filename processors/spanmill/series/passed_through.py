"""The families and series of the metrics that services send."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Final, Literal

from spanmill.errors import CheckpointError, FamilyConflictError
from spanmill.journal.state import State
from spanmill.points.batch import (
    ExponentialPoint,
    HistogramPoint,
    NumberPoint,
    Point,
    SummaryPoint,
    Temporality,
)
from spanmill.series.passed_through_labels import Labels
from spanmill.series.passed_through_series import PassedThroughSeries, Taken
from spanmill.series.passed_through_snapshot import family_snapshots
from spanmill.series.passed_through_state import KeptFamily, kept_store, read_store
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Family, FamilySnapshot

BYTES_PER_SERIES: Final = 4096
"""What a series may take on average, with its share of families and of keys of what was sent.

As estimated from the sizes of texts and the numbers of buckets; three quarters of it are for the
series and families themselves.
"""

_SERIES_BYTES: Final = 900
_DELTA_BYTES: Final = 700
_CELL_BYTES: Final = 40
_PLACE_BYTES: Final = 8
_FAMILY_BYTES: Final = 700
_NAME_BYTES: Final = 100
_NAMES_TOLD: Final = 10
_DERIVED_NAMES: Final = {"counter": 3, "histogram": 5, "summary": 4}

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class PassedThroughFamily:
    """A family that holds its names, and its series by their labels.

    One that is `own` is filled here, not by services, and keeps its names for good. `bytes` is
    what its texts take.
    """

    family: Family
    bytes: int = 0
    own: bool = False
    series: dict[Labels, PassedThroughSeries] = field(default_factory=dict)


class PassedThrough:
    """The series that services' points are taken into.

    At most `limit` exist, and together with the names and help texts of their families they take
    three quarters of BYTES_PER_SERIES each on average (150 MiB for 50,000), as estimated; they
    keep at most `limit` exemplars of 0.6 KiB. A family holds its names in the registry as long as
    it has a series. The registry's lock is held by whoever calls.
    """

    def __init__(self, registry: Registry, max_series: int) -> None:
        self._registry = registry
        self.limit = max_series
        self._families: dict[str, PassedThroughFamily] = {}
        self._count = 0
        self._bytes = 0
        self._exemplars = 0
        registry.expose_source(self._snapshots)

    def __len__(self) -> int:
        return self._count

    @property
    def estimated_bytes(self) -> int:
        """What the series and their families take, as the limit counts it."""
        return self._bytes

    @property
    def spare_bytes(self) -> int:
        """What they leave of the limit for whatever else is remembered, a quarter of it at least.

        It shrinks as they grow.
        """
        return self.limit * BYTES_PER_SERIES - self._bytes

    @property
    def full(self) -> bool:
        """Whether not even the smallest series would find room."""
        return self._count >= self.limit or not self._has_room(_SERIES_BYTES)

    def __contains__(self, name: object) -> bool:
        """Whether a family of this name is there."""
        return name in self._families

    def own(self, family: Family) -> PassedThroughFamily:
        """A family that no service can fill or take the name of.

        Raises FamilyConflictError where the name is taken.
        """
        self._registry.claim(family)
        owned = self._families[family.name] = PassedThroughFamily(family, own=True)
        return owned

    def open(self, family: Family) -> PassedThroughFamily | Literal["overflow", "conflict"]:
        """The family of this name, claimed if it isn't there yet.

        "overflow" where there is no room for its texts. "conflict" where its type or unit
        contradicts what is shown under one of its names, or its name isn't for services. A
        different help text doesn't matter: the first one stays. Where a family was returned,
        `close` must follow.
        """
        known = self._families.get(family.name)
        if known is None:
            size = _family_bytes(family)
            if not self._has_room(size + _SERIES_BYTES):
                return "overflow"
            try:
                self._registry.claim(family)
            except FamilyConflictError:
                return "conflict"
            known = self._families[family.name] = PassedThroughFamily(family, size)
            self._bytes += size
        return known if not known.own and _agree(known.family, family) else "conflict"

    def close(self, family: PassedThroughFamily) -> None:
        """Give up the names of a family that has got no series."""
        if family.own or family.series:
            return
        if self._families.pop(family.family.name, None) is not None:
            self._registry.release(family.family)
            self._bytes -= family.bytes

    def series(
        self,
        family: PassedThroughFamily,
        labels: Labels,
        kind: type[Point],
        temporality: Temporality,
        accumulates: bool,
    ) -> PassedThroughSeries | Literal["overflow", "conflict"]:
        """The series of these labels, made where it is new and there is room.

        "conflict" where the one that is there has points of another type or temporality.
        """
        known = family.series.get(labels)
        if known is not None:
            same = known.kind is kind and known.temporality == temporality
            return known if same and known.accumulates == accumulates else "conflict"
        size = _SERIES_BYTES + text_bytes((*labels.names, *labels.values))
        if temporality == "delta":
            size += _DELTA_BYTES
        if self._count >= self.limit or not self._has_room(size):
            return "overflow"
        series = PassedThroughSeries(labels, kind, temporality, accumulates, label_bytes=size)
        series.bytes = size
        self._count += 1
        self._bytes += size
        family.series[labels] = series
        return series

    def take(
        self, series: PassedThroughSeries, point: Point, arrival_ns: int
    ) -> Taken | Literal["overflow"]:
        """Take a point into its series, and its exemplars while there is room for more.

        Its attributes aren't kept: the labels say them.

        "overflow" where its buckets don't fit; the series stays as it was.
        """
        if isinstance(point, NumberPoint) and not series.accumulates:
            return series.take(_without_attributes(point), arrival_ns)
        size = series.label_bytes + _CELL_BYTES * _cells(point)
        if size > series.bytes and not self._has_room(size - series.bytes):
            return "overflow"
        self._exemplars -= len(series.exemplars)
        taken = series.take(_without_attributes(point), arrival_ns)
        if taken == "counted" and series.point is not None and not isinstance(point, SummaryPoint):
            room = self.limit - self._exemplars - len(series.exemplars)
            series.keep_exemplars(point.exemplars, room)
        self._exemplars += len(series.exemplars)
        # The sum of exponential deltas can have more buckets than the point: 2 * 160 at most.
        size = series.label_bytes + (_CELL_BYTES * _cells(series.point) if series.point else 0)
        self._bytes += size - series.bytes
        series.bytes = size
        return taken

    def remove(self, family: PassedThroughFamily, series: PassedThroughSeries) -> None:
        """Let a series disappear at once."""
        del family.series[series.labels]
        series.live = False
        self._count -= 1
        self._bytes -= series.bytes
        self._exemplars -= len(series.exemplars)

    def expire(self, used_until_ns: int) -> int:
        """Remove the series that nothing changed since then; returns how many."""
        expired = 0
        for family in list(self._families.values()):
            idle = [s for s in family.series.values() if s.used_ns <= used_until_ns]
            for series in idle:
                self.remove(family, series)
            expired += len(idle)
            self.close(family)
        return expired

    def state(self) -> State:
        """All families and series, as `kept_store` has them."""
        families = [
            KeptFamily(
                *(name, one.family.type, one.family.help, one.family.unit),
                *(one.bytes, one.own, len(one.series)),
            )
            for name, one in self._families.items()
        ]
        series = [one for family in self._families.values() for one in family.series.values()]
        return kept_store(families, series)

    def restore(self, state: State) -> None:
        """Take families and series over, and hold the families' names again.

        What has a name that something else holds now is left behind, and the log says so. Under a
        lower limit all stay, and no further ones find room. Raises CheckpointError, and changes
        nothing, where this is no state of this form, or a series is there already.
        """
        read = read_store(state)
        if self._count:
            raise CheckpointError("services have sent metrics already")
        left: list[str] = []
        for kept, series in read:
            family = self._claimed(kept)
            if family is None:
                left.append(kept.name)
                continue
            family.series = {one.labels: one for one in series}
            self._count += len(series)
            self._bytes += sum(one.bytes for one in series)
            self._exemplars += sum(len(one.exemplars) for one in series)
        if left:
            _log.warning(
                "metrics of services were left behind: something else has their names now",
                extra={"metrics": ", ".join(left[:_NAMES_TOLD]), "number": len(left)},
            )

    def _claimed(self, kept: KeptFamily) -> PassedThroughFamily | None:
        """A family to put series into; None where the name is for something else now."""
        known = self._families.get(kept.name)
        if known is not None:
            return known if known.own and kept.own else None
        if kept.own or not kept.series:
            return None
        try:
            self._registry.claim(kept.family)
        except FamilyConflictError:
            return None
        family = self._families[kept.name] = PassedThroughFamily(kept.family, kept.bytes)
        self._bytes += kept.bytes
        return family

    def _has_room(self, more: int) -> bool:
        return self._bytes + more <= self.limit * BYTES_PER_SERIES * 3 // 4

    def _snapshots(self) -> Iterator[FamilySnapshot]:
        for family in self._families.values():
            yield from family_snapshots(family.family, family.series.values())


def text_bytes(texts: Iterable[str | bytes]) -> int:
    """What texts take in memory, with the places that hold them; 4 bytes a character for some."""
    return sum(_PLACE_BYTES + getsizeof(text) for text in texts)


def _family_bytes(family: Family) -> int:
    names = _DERIVED_NAMES.get(family.type, 0) + 1
    texts = (
        names * (getsizeof(family.name) + _NAME_BYTES)
        + getsizeof(family.help)
        + getsizeof(family.unit)
    )
    return _FAMILY_BYTES + texts


def _without_attributes(point: Point) -> Point:
    if type(point) is NumberPoint:
        # A third of the time of `_replace`, and most points are such.
        return NumberPoint((), point.start, point.time, point.recorded, point.value, ())
    return point._replace(attributes=())


def _agree(shown: Family, other: Family) -> bool:
    """A unit that isn't known contradicts none."""
    units = {shown.unit, other.unit} - {""}
    return shown.type == other.type and len(units) <= 1


def _cells(point: Point) -> int:
    if isinstance(point, HistogramPoint):
        return len(point.bounds) + len(point.counts)
    if isinstance(point, ExponentialPoint):
        return len(point.positive.counts) + len(point.negative.counts)
    return 2 * len(point.quantiles) if isinstance(point, SummaryPoint) else 0
