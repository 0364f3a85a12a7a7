"""What was counted in one place, as a message that another place adds to its own.

One form for all: from a thread or a worker to its parent, from a replica to the tier behind it.
docs/merging.md says what is in it and what can't be, and why a checkpoint is something else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.errors import MergeError
from spanmill.series.column import Stamps
from spanmill.series.histogram import HistogramColumn
from spanmill.series.histogram_state import HistogramState
from spanmill.series.label_sets import LabelSets
from spanmill.series.snapshot import LabelValues

Ranges = tuple[tuple[int, int], ...]
"""Positions of journal records, first and last, ascending, none of them twice."""

_NOTHING: Final = -1
_FEWEST_ROWS: Final = 1_024  # columns don't shrink, and new ones have room for a few rows


@dataclass(frozen=True, slots=True)
class HistogramSchema:
    """How a histogram counts: the bounds of each layout in nanoseconds, and its native form."""

    layouts_ns: tuple[tuple[int, ...], ...]
    native: bool


@dataclass(frozen=True, slots=True)
class GroupSchema:
    """What a group of label sets counts, by the name of the first family that shows it."""

    label_names: tuple[str, ...]
    counters: tuple[str, ...]
    histograms: Mapping[str, HistogramSchema]

    def digest(self) -> str:
        """A hash that is the same where the schema is: 64 hexadecimal digits."""
        histograms = {
            name: [schema.layouts_ns, schema.native] for name, schema in self.histograms.items()
        }
        described = json.dumps([self.label_names, self.counters, histograms], sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class GroupState:
    """The label sets of a group and what they have counted; n of them, each once.

    - `labels`: sorted; None stands for the overflow series, and comes first.
    - `counters`: float64 (n,) by name; `histograms` likewise, n rows each.
    """

    schema: GroupSchema
    labels: tuple[LabelValues | None, ...]
    stamps: Stamps
    counters: Mapping[str, npt.NDArray[np.float64]]
    histograms: Mapping[str, HistogramState]

    def merged(self, other: GroupState) -> GroupState:
        """Both together; raises MergeError where they count differently."""
        check_schema("both messages", self.schema, other.schema)
        labels = sorted_labels({*self.labels, *other.labels})
        place = {key: row for row, key in enumerate(labels)}
        parts = [
            (part, np.array([place[key] for key in part.labels], np.int64))
            for part in (self, other)
        ]
        n = len(labels)
        created = np.full(n, np.iinfo(np.int64).max)
        used = np.full(n, np.iinfo(np.int64).min)
        spans = np.zeros(n, np.int64)
        counters = {name: np.zeros(n) for name in self.schema.counters}
        for part, rows in parts:
            created[rows] = np.minimum(created[rows], part.stamps.created_ns)
            used[rows] = np.maximum(used[rows], part.stamps.last_used_ns)
            spans[rows] += part.stamps.spans
            for name, values in counters.items():
                values[rows] += part.counters[name]
        return GroupState(
            schema=self.schema,
            labels=labels,
            stamps=Stamps(created, used, spans),
            counters=counters,
            histograms={
                name: _merged_histogram(
                    schema, n, [(part.histograms[name], rows) for part, rows in parts]
                )
                for name, schema in self.schema.histograms.items()
            },
        )


@dataclass(frozen=True, slots=True, eq=False)
class MergeMessage:
    """All that was counted from some records of the journal.

    `spanmill` is the version that wrote it. `records` has, by partition of the journal, the
    ranges of records that are in it; `groups` has the label sets of each processor by its name.

    Messages merge associatively and commutatively: label sets are united, counts added, created
    stamps are the earliest and times of use the latest. Counts of whole spans are exact up to
    2^53; sums of fractional weights are rounded as any sum of doubles is.
    """

    spanmill: str
    records: Mapping[str, Ranges]
    groups: Mapping[str, GroupState]

    def merged(self, other: MergeMessage) -> MergeMessage:
        """Both together.

        Raises MergeError where groups count differently, or a record is in both.
        """
        groups = dict(self.groups)
        for name, state in other.groups.items():
            groups[name] = groups[name].merged(state) if name in groups else state
        partitions = sorted({*self.records, *other.records})
        return MergeMessage(
            spanmill=max(self.spanmill, other.spanmill),
            records={
                partition: joined_ranges(
                    partition, self.records.get(partition, ()), other.records.get(partition, ())
                )
                for partition in partitions
            },
            groups={name: groups[name] for name in sorted(groups)},
        )


def check_schema(where: str, own: GroupSchema, other: GroupSchema) -> None:
    """Raise MergeError, which says what differs, unless both count alike."""
    if own.label_names != other.label_names:
        what = f"labels {', '.join(own.label_names)} and {', '.join(other.label_names)}"
    elif own.counters != other.counters or own.histograms.keys() != other.histograms.keys():
        ours, theirs = ([*side.counters, *side.histograms] for side in (own, other))
        what = f"families {', '.join(ours)} and {', '.join(theirs)}"
    elif own != other:
        differing = [name for name, s in own.histograms.items() if other.histograms[name] != s]
        what = f"other buckets of {', '.join(differing)}"
    else:
        return
    raise MergeError(f"what was counted can't be merged: {where} have {what}")


def joined_ranges(partition: str, *ranges: Ranges) -> Ranges:
    """All ranges in order, neighbours as one; raises MergeError where a record comes twice."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(range_ for some in ranges for range_ in some):
        end = joined[-1][1] if joined else _NOTHING
        if first <= end or last < first:
            raise MergeError(
                f"records {first} to {last} of partition {partition} would be counted twice"
            )
        if joined and first == end + 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return tuple(joined)


def sorted_labels(labels: set[LabelValues | None]) -> tuple[LabelValues | None, ...]:
    """Label sets in the order of a message, the overflow series first."""
    own = sorted(key for key in labels if key is not None)
    return (None, *own) if None in labels else tuple(own)


def empty_histogram(schema: HistogramSchema, rows: int) -> HistogramColumn:
    """A column with so many rows that counts like this."""
    column = HistogramColumn(LabelSets((), 1, None), schema.layouts_ns, schema.native)
    column.grow(max(rows, _FEWEST_ROWS))
    return column


def _merged_histogram(
    schema: HistogramSchema,
    rows: int,
    parts: Sequence[tuple[HistogramState, npt.NDArray[np.int64]]],
) -> HistogramState:
    column = empty_histogram(schema, rows)
    for state, at in parts:
        column.merge_state(at, state)
    return column.state(np.arange(rows))
