"""Which series a destination has from us, so that it learns when one is gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from spanmill.exporters.otlp_metrics.metric import HistogramForm, Kind, kind_of
from spanmill.series.snapshot import (
    Family,
    FamilySnapshot,
    Histograms,
    LabelValues,
    Summaries,
    Values,
)


@dataclass(frozen=True, slots=True)
class Shown:
    """Series of one family, by their labels; `borders` are a classic histogram's bounds.

    Of a summary they are its quantiles.
    """

    family: Family
    kind: Kind
    borders: tuple[float, ...]
    label_names: tuple[str, ...]
    labels: list[LabelValues | None]


class ShownSeries:
    """The series of the last push that a destination answered.

    Memory: 8 bytes a series, and about 100 for each label set of a family or of several. Series
    that are gone are kept until the next push that is answered, so there are never more than one
    snapshot has.
    """

    def __init__(self, histograms: HistogramForm) -> None:
        self._histograms = histograms
        self._shown: dict[str, list[Shown]] = {}

    def gone(self, families: Sequence[FamilySnapshot]) -> list[Shown]:
        """Those that this snapshot has no more."""
        now = self._by_name(families)
        gone: list[Shown] = []
        for name, before in self._shown.items():
            gone.extend(_missing(before, now.get(name, [])))
        return gone

    def replace(self, families: Sequence[FamilySnapshot]) -> None:
        """The destination has the series of this snapshot."""
        self._shown = self._by_name(families)

    def _by_name(self, families: Iterable[FamilySnapshot]) -> dict[str, list[Shown]]:
        shown: dict[str, list[Shown]] = {}
        known: dict[LabelValues | None, LabelValues | None] = {}
        for snapshot in families:
            each = self._of(snapshot)
            # Families that share label sets have equal labels: one tuple is enough.
            labels = [known.setdefault(values, values) for values in snapshot.labels]
            of_family = shown.setdefault(snapshot.family.name, [])
            if of_family and _continues(each, of_family[-1]):
                of_family[-1].labels.extend(labels)
            else:
                of_family.append(replace(each, labels=labels))
        return shown

    def _of(self, snapshot: FamilySnapshot) -> Shown:
        kind = kind_of(snapshot, self._histograms)
        borders: tuple[float, ...]
        match snapshot.data:
            case Histograms(bounds=bounds):
                borders = bounds
            case Summaries(quantiles=quantiles):
                borders = quantiles
            case Values():
                borders = ()
        return Shown(snapshot.family, kind, borders, snapshot.label_names, [])


def _continues(each: Shown, before: Shown) -> bool:
    """Whether series are a further slice of those before."""
    return (each.kind, each.borders, each.label_names) == (
        before.kind,
        before.borders,
        before.label_names,
    )


def _missing(before: Sequence[Shown], now: Sequence[Shown]) -> Iterator[Shown]:
    """The series of a family that are not in it any more."""
    if len(before) == len(now) == 1 and _begins_with(now[0], before[0]):
        return  # nearly always: new series come last
    still = {identity for each in now for _, identity in _identities(each)}
    for each in before:
        gone = [labels for labels, identity in _identities(each) if identity not in still]
        if gone:
            yield replace(each, labels=gone)


def _begins_with(now: Shown, before: Shown) -> bool:
    return (
        now.label_names == before.label_names and now.labels[: len(before.labels)] == before.labels
    )


def _identities(
    shown: Shown,
) -> Iterator[tuple[LabelValues | None, frozenset[tuple[str, str]] | None]]:
    """Each series' label values and what it is known by, whatever names others of it have."""
    for values in shown.labels:
        if values is None:
            yield None, None
        else:
            pairs = zip(shown.label_names, values, strict=True)
            yield values, frozenset(pair for pair in pairs if pair[1])
