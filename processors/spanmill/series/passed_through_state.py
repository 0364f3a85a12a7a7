"""What the series of services' metrics are over a restart, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from itertools import islice
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


class _KeptExemplar(NamedTuple):
    """An exemplar, by its series' place among all and its bucket's in it."""

    series: int
    position: int
    labels: tuple[tuple[str, str], ...]
    value: float
    seconds: float


class _KeptStore(msgspec.Struct):
    """Families, and the series of all of them: the same place in each list is one series."""

    form: int
    families: list[KeptFamily]
    labels: list[Labels]
    kinds: list[str]
    temporalities: list[Temporality]
    accumulates: list[bool]
    points: list[tuple[Any, ...] | None]
    orders: list[tuple[int, int]]
    created_ns: list[int]
    used_ns: list[int]
    sent: list[tuple[int, int]]
    recent: list[tuple[int, ...]]
    label_bytes: list[int]
    bytes: list[int]
    exemplars: list[_KeptExemplar]


def kept_store(families: Sequence[KeptFamily], series: Sequence[PassedThroughSeries]) -> State:
    """Families, and all of their series one after the other.

    What never changes, as points and labels, isn't copied. A list for each field, since so many
    tuples would set the garbage collector off: 0.7 microseconds a series.
    """
    return {
        "form": FORM,
        "families": list(families),
        "labels": [one.labels for one in series],
        "kinds": [one.kind.__name__ for one in series],
        "temporalities": [one.temporality for one in series],
        "accumulates": [one.accumulates for one in series],
        "points": [one.point for one in series],
        "orders": [one.order for one in series],
        "created_ns": [one.created_ns for one in series],
        "used_ns": [one.used_ns for one in series],
        "sent": [one.sent for one in series],
        "recent": [one.recent for one in series],
        "label_bytes": [one.label_bytes for one in series],
        "bytes": [one.bytes for one in series],
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
    series = _series(store)
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


def _series(store: _KeptStore) -> list[PassedThroughSeries]:
    unknown = set(store.kinds) - set(_KINDS)
    if unknown:
        raise CheckpointError(f"there are no points of the kind {min(unknown)!r}")
    kinds = [_KINDS[kind] for kind in store.kinds]
    fields: tuple[list[Any], ...] = (  # in the order of those of a series
        *(store.labels, kinds, store.temporalities, store.accumulates, store.label_bytes),
        *(store.bytes, store.points, store.orders, store.created_ns, store.used_ns),
        *(store.sent, store.recent),
    )
    if len(set(map(len, fields))) > 1:
        raise CheckpointError("some fields of services' series are missing")
    series = list(map(PassedThroughSeries, *fields))
    for one, point in zip(series, store.points, strict=True):
        one.point = None if point is None else one.kind(*converted(point, _FIELDS[one.kind]))
    return series


def _check_unique(what: str, keys: Iterable[object]) -> None:
    listed = list(keys)
    if len(set(listed)) != len(listed):
        raise CheckpointError(f"a {what} is there twice")
