"""What fills the series of each processor, as a small JSON document: `/series`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from spanmill.series.demand import LabelDemand
from spanmill.series.label_sets import LabelSets
from spanmill.series.limit_gauges import series_demand
from spanmill.series.registry import Registry

_EXAMPLE_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """About how many distinct values a label has, and a few of those that found no room."""

    label: str
    values: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """About how many label sets a service asks for; labels with most values first."""

    service: str
    label_sets: int
    labels: tuple[LabelFigures, ...]


@dataclass(frozen=True, slots=True)
class SeriesFigures:
    """One processor's label sets.

    `overflow_ratio` is the overflow series' share of the recent spans; `exchanged` counts label
    sets that lost their series to a busier one. The rest is there while the limit is reached:
    estimates whose standard errors are the two ratios, and label sets that found no room.
    """

    series: int
    limit: int
    demand: int
    overflow_ratio: float
    exchanged: int
    demand_error_ratio: float = 0.0
    service_error_ratio: float = 0.0
    labels: tuple[LabelFigures, ...] = ()
    services: tuple[ServiceFigures, ...] = ()
    overflow_examples: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SeriesPage:
    """All processors whose label sets are limited, by name."""

    processors: Mapping[str, SeriesFigures]


def series_page(registry: Registry) -> bytes:
    """The document as of now, a few KB for each processor: every text in it is cut to 200."""
    with registry.lock:
        found = {name: _figures(sets) for name, sets in registry.limited().items()}
    return msgspec.json.encode(SeriesPage(found))


def read_series_page(document: bytes) -> SeriesPage:
    """The document as it was written; msgspec.DecodeError if it is something else."""
    return msgspec.json.decode(document, type=SeriesPage)


def _figures(label_sets: LabelSets) -> SeriesFigures:
    demand = label_sets.demand()
    if demand is None:
        return SeriesFigures(
            len(label_sets),
            label_sets.limit,
            series_demand(label_sets),
            label_sets.overflow_share(),
            label_sets.exchanged,
        )
    return SeriesFigures(
        series=len(label_sets),
        limit=label_sets.limit,
        demand=series_demand(label_sets),
        overflow_ratio=label_sets.overflow_share(),
        exchanged=label_sets.exchanged,
        demand_error_ratio=demand.error_ratio,
        service_error_ratio=demand.service_error_ratio,
        labels=tuple(map(_label, demand.labels)),
        services=tuple(
            ServiceFigures(_cut(s.service), s.label_sets, tuple(map(_label, s.labels)))
            for s in demand.services
        ),
        overflow_examples=tuple(
            {
                name: _cut(value)
                for name, value in zip(label_sets.names, values, strict=True)
                if value
            }
            for values in demand.examples
        ),
    )


def _label(label: LabelDemand) -> LabelFigures:
    return LabelFigures(label.label, label.values, tuple(map(_cut, label.examples)))


def _cut(text: str) -> str:
    # A lone surrogate, which JSON from a careless client may hold, has no UTF-8.
    plain = text[:_EXAMPLE_LENGTH].encode("utf-8", "replace").decode()
    return plain if len(text) <= _EXAMPLE_LENGTH else plain + "…"
