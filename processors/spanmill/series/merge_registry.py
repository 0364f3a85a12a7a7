"""Merge messages out of a registry, and into one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from spanmill.errors import MergeError
from spanmill.series.counter import GaugeColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.label_sets import LabelSets
from spanmill.series.merge_message import (
    GroupSchema,
    GroupState,
    HistogramSchema,
    MergeMessage,
    Ranges,
    check_schema,
    sorted_labels,
)
from spanmill.series.registry import Registry
from spanmill.series.slices import ValuesFamily


def message_of(registry: Registry, records: Mapping[str, Ranges]) -> MergeMessage:
    """All that processors have counted, from these records of the journal.

    A copy, made under the registry's lock: about as large as the series themselves.
    """
    with registry.lock:
        groups = {name: _state(group) for name, group in _groups(registry).items()}
    return MergeMessage(version("spanmill"), dict(records), groups)


def merge_into(registry: Registry, message: MergeMessage) -> None:
    """Add what a message says to the series of a registry, under its lock.

    Label sets that find no room are added to the overflow series. Raises MergeError, and changes
    nothing, where the registry has no such group or counts it differently.
    """
    with registry.lock:
        groups = _groups(registry)
        for name, state in message.groups.items():
            if name not in groups:
                raise MergeError(f"what {name} has counted can't be merged: it does not run here")
            check_schema(f"{name} there and here", state.schema, _schema(groups[name]))
        for name, state in message.groups.items():
            _add(groups[name], state)


@runtime_checkable
class _Sum(Protocol):
    """A number for each row that others can be added to."""

    def add(self, rows: npt.NDArray[np.int64], amounts: npt.NDArray[np.float64]) -> None: ...

    def values(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]: ...


@dataclass(slots=True)
class _Group:
    """The label sets of a processor and their columns by the first family that shows them."""

    label_sets: LabelSets
    counters: dict[str, _Sum] = field(default_factory=dict)
    histograms: dict[str, HistogramColumn] = field(default_factory=dict)


def _groups(registry: Registry) -> dict[str, _Group]:
    names = {id(label_sets): name for name, label_sets in registry.limited().items()}
    groups = {name: _Group(label_sets) for name, label_sets in registry.limited().items()}
    seen: set[int] = set()
    for shown in registry.exposed():
        name = names.get(id(shown.label_sets))
        if name is None or id(shown.column) in seen:
            continue
        seen.add(id(shown.column))
        if not isinstance(shown, ValuesFamily):
            groups[name].histograms[shown.family.name] = shown.column
        elif isinstance(shown.column, _Sum) and not isinstance(shown.column, GaugeColumn):
            groups[name].counters[shown.family.name] = shown.column
    return groups


def _schema(group: _Group) -> GroupSchema:
    return GroupSchema(
        group.label_sets.names,
        tuple(sorted(group.counters)),
        {
            name: HistogramSchema(column.layouts_ns(), column.has_native)
            for name, column in sorted(group.histograms.items())
        },
    )


def _state(group: _Group) -> GroupState:
    rows, _ = group.label_sets.shown()
    keys = group.label_sets.labels(rows)
    labels = sorted_labels(set(keys))
    place = {key: row for row, key in zip(rows.tolist(), keys, strict=True)}
    ordered = np.array([place[key] for key in labels], np.int64)
    return GroupState(
        schema=_schema(group),
        labels=labels,
        stamps=group.label_sets.stamps(ordered),
        counters={name: column.values(ordered) for name, column in group.counters.items()},
        histograms={name: column.state(ordered) for name, column in group.histograms.items()},
    )


def _add(group: _Group, state: GroupState) -> None:
    rows = group.label_sets.merge_rows(state.labels, state.stamps)
    for name, values in state.counters.items():
        if values.any():  # some columns take no memory until then
            group.counters[name].add(rows, values)
    for name, histogram in state.histograms.items():
        group.histograms[name].merge_state(rows, histogram)
