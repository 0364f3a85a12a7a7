"""What the exposition reads: the state of families at one moment, as columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, overload

import numpy as np
import numpy.typing as npt

FamilyType = Literal["counter", "gauge", "histogram", "summary", "unknown"]

LabelValues = tuple[str, ...]
OVERFLOW_LABELS: tuple[tuple[str, str], ...] = (("otel_metric_overflow", "true"),)
"""The labels of the one series that takes what found no room in its family."""


@dataclass(frozen=True, slots=True)
class Family:
    """What one metric name means, in every format.

    `unit` is in Prometheus's words ("seconds", "bytes"), empty where none is known.
    """

    name: str
    type: FamilyType
    help: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation that stands for others, with the labels that lead to its trace.

    `value` is in the family's unit, `seconds` since the Unix epoch.
    """

    labels: tuple[tuple[str, str], ...]
    value: float
    seconds: float


@dataclass(frozen=True, slots=True)
class NativeBuckets:
    """The native histogram of one series; m populated or empty buckets in a row.

    `schema` is Prometheus's (-4 to 8): bucket i covers (b^(i-1), b^i] with b = 2^(2^-schema).
    `first` is the index of the first bucket; `counts` is float64 of shape (m,), not cumulative.
    `negative_first` and `negative_counts` are the same for negative values, mirrored at 0.
    `zero_count` counts what is at most `zero_threshold` away from 0.
    """

    schema: int
    zero_count: float
    first: int
    counts: npt.NDArray[np.float64]
    zero_threshold: float = 0.0
    negative_first: int = 0
    negative_counts: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, slots=True, eq=False)
class PackedNative(Sequence[NativeBuckets]):
    """Native histograms of s series as columns: what `Histograms.native` has for spans.

    `schemas` is int8 (s,), `zero_counts` float64 (s,), `firsts` int32 (s,): as in NativeBuckets.
    The counts of series i are `counts[begins[i]:begins[i + 1]]`; `begins` is int64 (s + 1,),
    `counts` float64 (begins[s],).
    """

    schemas: npt.NDArray[np.int8]
    zero_counts: npt.NDArray[np.float64]
    firsts: npt.NDArray[np.int32]
    begins: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.schemas)

    @overload
    def __getitem__(self, index: int) -> NativeBuckets: ...

    @overload
    def __getitem__(self, index: slice) -> list[NativeBuckets]: ...

    def __getitem__(self, index: int | slice) -> NativeBuckets | list[NativeBuckets]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return NativeBuckets(
            schema=int(self.schemas[index]),
            zero_count=float(self.zero_counts[index]),
            first=int(self.firsts[index]),
            counts=self.counts[self.begins[index] : self.begins[index + 1]],
        )


@dataclass(frozen=True, slots=True)
class Values:
    """The values of a counter, gauge or unknown family: float64 of shape (series,).

    `exemplars` has one for some of the series of a counter, by the series' position.
    """

    values: npt.NDArray[np.float64]
    exemplars: Mapping[int, Exemplar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Histograms:
    """The values of a histogram family, in the family's unit.

    `bounds` has b upper bounds, ascending, without +Inf. `bucket_counts` is float64 of shape
    (series, b + 1), not cumulative, +Inf last. `counts` and `sums` are float64 (series,).
    `native` has an element for each series, or is None where the family has no native form.
    A histogram that is native alone has no bounds. `exemplars` has, by the position of a series
    and then by the position of a bucket, the exemplar of that bucket.
    """

    bounds: tuple[float, ...]
    bucket_counts: npt.NDArray[np.float64]
    counts: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]
    native: Sequence[NativeBuckets] | None
    exemplars: Mapping[int, Mapping[int, Exemplar]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Summaries:
    """The values of a summary family, in the family's unit.

    `values` is float64 (series, quantiles); `counts` and `sums` are float64 (series,).
    """

    quantiles: tuple[float, ...]
    values: npt.NDArray[np.float64]
    counts: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FamilySnapshot:
    """Series of one family: all of them, or those of one shape.

    Snapshots of one family follow each other; only passed-through families have several, since
    their series may differ in bounds or quantiles.

    `labels` has the label values of each series, aligned with `label_names`; an empty value
    means that the series has no such label; None stands for the overflow series. `created` is
    float64 (series,), seconds since the Unix epoch, NaN where it isn't known.
    """

    family: Family
    label_names: tuple[str, ...]
    labels: Sequence[LabelValues | None]
    created: npt.NDArray[np.float64]
    data: Values | Histograms | Summaries

    def label_pairs(self) -> Iterator[tuple[tuple[str, str], ...]]:
        """The labels of each series as (name, value), without the empty ones."""
        for values in self.labels:
            if values is None:
                yield OVERFLOW_LABELS
            else:
                yield tuple(
                    (name, value)
                    for name, value in zip(self.label_names, values, strict=True)
                    if value
                )
