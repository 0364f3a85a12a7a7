"""The metrics about limits: how many label sets there are, may be and are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import numpy as np

from spanmill.series.label_sets import LabelSets
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Family, FamilySnapshot, LabelValues, Values

Found = Iterator[tuple[LabelValues, float]]

_PROCESSOR: Final = ("processor",)


def declare_limits(registry: Registry) -> None:
    """Show the label sets of every processor; what drives their number only in overflow."""
    _declare(
        registry,
        Family("spanmill_series", "gauge", "Label sets that exist now."),
        _PROCESSOR,
        lambda: (((name,), len(series)) for name, series in registry.bounded().items()),
    )
    _declare(
        registry,
        Family("spanmill_series_limit", "gauge", "Label sets that may exist."),
        _PROCESSOR,
        lambda: (((name,), series.limit) for name, series in registry.bounded().items()),
    )
    for name, text, labels, found in (
        (
            "spanmill_series_demand",
            "Label sets that would exist without a limit; estimated where it is reached.",
            _PROCESSOR,
            _demand,
        ),
        (
            "spanmill_series_demand_error_ratio",
            "Standard error of the demand relative to it; 0 where it is exact.",
            _PROCESSOR,
            _demand_error,
        ),
        (
            "spanmill_series_label_values",
            "Distinct values of each label, estimated while the limit is reached.",
            ("processor", "label"),
            _label_values,
        ),
        (
            "spanmill_series_offender_demand",
            "Label sets that a service asks for, of the few that ask for most of them.",
            ("processor", "service"),
            _offender_demand,
        ),
    ):
        _declare(registry, Family(name, "gauge", text), labels, partial(_each, registry, found))


def series_demand(label_sets: LabelSets) -> int:
    """How many label sets would exist without a limit."""
    demand = label_sets.demand()
    return max(len(label_sets), demand.label_sets if demand is not None else 0)


def _declare(
    registry: Registry,
    family: Family,
    labels: tuple[str, ...],
    found: Callable[[], Found],
) -> None:
    def snapshot() -> FamilySnapshot:
        values = dict(found())
        return FamilySnapshot(
            family=family,
            label_names=labels,
            labels=list(values),
            created=np.full(len(values), np.nan),
            data=Values(np.fromiter(values.values(), np.float64, len(values))),
        )

    registry.expose_family(family, snapshot)


def _each(registry: Registry, found: Callable[[LabelSets], Found]) -> Found:
    for processor, label_sets in registry.limited().items():
        for rest, value in found(label_sets):
            yield (processor, *rest), value


def _demand(label_sets: LabelSets) -> Found:
    yield (), series_demand(label_sets)


def _demand_error(label_sets: LabelSets) -> Found:
    demand = label_sets.demand()
    yield (), demand.error_ratio if demand is not None else 0.0


def _label_values(label_sets: LabelSets) -> Found:
    demand = label_sets.demand()
    for label in demand.labels if demand is not None else ():
        yield (label.label,), label.values


def _offender_demand(label_sets: LabelSets) -> Found:
    demand = label_sets.demand()
    for service in demand.services if demand is not None else ():
        yield (service.service,), service.label_sets
