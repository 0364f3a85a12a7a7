"""What the series of services' metrics are over a restart, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from itertools import islice
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from spanmill.errors import CheckpointError
from spanmill.journal.state import State
from spanmill.points.batch import (
    Buckets,
    ExponentialPoint,
    HistogramPoint,
    NumberPoint,
    Point,
    SummaryPoint,
    Temporality,
)
from spanmill.series.passed_through_labels import Labels
from spanmill.series.passed_through_series import PassedThroughSeries
from spanmill.series.snapshot import Exemplar, Family, FamilyType

FORM: Final = 1
"""What the figures below mean; a state of another form isn't read."""

_KINDS: Final[dict[str, type[Point]]] = {
    kind.__name__: kind for kind in (NumberPoint, HistogramPoint, ExponentialPoint, SummaryPoint)
}

_None = tuple[()]
_Values = tuple[float, ...]
# The fields of a kept point, which has neither attributes nor exemplars.
_FIELDS: Final[dict[type[Point], Any]] = {
    NumberPoint: tuple[_None, int, int, bool, int | float, _None],
    HistogramPoint: tuple[_None, int, int, bool, int, float, _Values, tuple[int, ...], _None],
    ExponentialPoint: tuple[
        _None, int, int, bool, int, float, int, int, float, Buckets, Buckets, _None
    ],
    SummaryPoint: tuple[_None, int, int, bool, int, float, _Values, _Values],
}

_row = attrgetter(
    *("labels", "kind.__name__", "temporality", "accumulates", "label_bytes", "bytes", "point"),
    *("order", "created_ns", "used_ns", "sent", "recent"),
)

T = TypeVar("T")


class KeptFamily(NamedTuple):
    """A family, what its texts take, and how many series it has: the next ones of all."""

    name: str
    type: FamilyType
    help: str
    unit: str
    bytes: int
    own: bool
    series: int

    @property
    def family(self) -> Family:
        """As the registry knows it."""
        return Family(self.name, self.type, self.help, self.unit)


class _KeptSeries(NamedTuple):
    """The fields of a series in the order of `_row`; the point is read by its kind."""

    labels: Labels
    kind: str
    temporality: Temporality
    accumulates: bool
    label_bytes: int
    bytes: int
    point: tuple[Any, ...] | None
    order: tuple[int, int]
    created_ns: int
    used_ns: int
    sent: tuple[int, int]
    recent: tuple[int, ...]


class _KeptExemplar(NamedTuple):
    """An exemplar, by its series' place among all and its bucket's in it."""

    series: int
    position: int
    labels: tuple[tuple[str, str], ...]
    value: float
    seconds: float


class _KeptStore(msgspec.Struct):
    form: int
    families: list[KeptFamily]
    series: list[_KeptSeries]
    exemplars: list[_KeptExemplar]


def kept_store(families: Sequence[KeptFamily], series: Sequence[PassedThroughSeries]) -> State:
    """Families, and all of their series one after the other.

    Points and labels never change and aren't copied. A series takes half a microsecond.
    """
    return {
        "form": FORM,
        "families": list(families),
        "series": list(map(_row, series)),
        "exemplars": [
            (at, position, *astuple(exemplar))
            for at, one in enumerate(series)
            if one.exemplars
            for position, exemplar in one.exemplars.items()
        ],
    }


def read_store(state: object) -> list[tuple[KeptFamily, list[PassedThroughSeries]]]:
    """The families of a state, each with its series; CheckpointError where it is none."""
    store = converted(state, _KeptStore)
    if store.form != FORM:
        raise CheckpointError(f"services' metrics were kept in form {store.form}, not in {FORM}")
    series = [_series(kept) for kept in store.series]
    for kept in store.exemplars:
        if not 0 <= kept.series < len(series):
            raise CheckpointError("an exemplar belongs to a series that isn't there")
        exemplar = Exemplar(kept.labels, kept.value, kept.seconds)
        series[kept.series].exemplars[kept.position] = exemplar
    if sum(family.series for family in store.families) != len(series):
        raise CheckpointError("families have another number of series than there are")
    _check_unique("family", (family.name for family in store.families))
    following = iter(series)
    read = [(family, list(islice(following, family.series))) for family in store.families]
    for family, own in read:
        _check_unique(f"series of {family.name}", (one.labels for one in own))
    return read


def converted(state: object, kind: type[T]) -> T:
    """Plain values as what they must be; CheckpointError where they aren't."""
    try:
        return msgspec.convert(state, kind)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"services' metrics can't be read: {error}") from error


def _series(kept: _KeptSeries) -> PassedThroughSeries:
    kind = _KINDS.get(kept.kind)
    if kind is None:
        raise CheckpointError(f"there is no kind of points {kept.kind!r}")
    return PassedThroughSeries(
        labels=kept.labels,
        kind=kind,
        temporality=kept.temporality,
        accumulates=kept.accumulates,
        label_bytes=kept.label_bytes,
        bytes=kept.bytes,
        point=None if kept.point is None else kind(*converted(kept.point, _FIELDS[kind])),
        order=kept.order,
        created_ns=kept.created_ns,
        used_ns=kept.used_ns,
        sent=kept.sent,
        recent=kept.recent,
    )


def _check_unique(what: str, keys: Iterable[object]) -> None:
    listed = list(keys)
    if len(set(listed)) != len(listed):
        raise CheckpointError(f"a {what} is there twice")
