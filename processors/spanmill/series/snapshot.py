"""What the exposition reads: the state of families at one moment, as columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FamilyType = Literal["counter", "gauge", "histogram", "unknown"]

LabelValues = tuple[str, ...]
OVERFLOW_LABELS: tuple[tuple[str, str], ...] = (("otel_metric_overflow", "true"),)
"""The labels of the one series that takes what found no room in its family."""


@dataclass(frozen=True, slots=True)
class Family:
    """What one metric name means, in every format."""

    name: str
    type: FamilyType
    help: str


@dataclass(frozen=True, slots=True)
class NativeBuckets:
    """The native histogram of one series; m populated or empty buckets in a row.

    `schema` is Prometheus's (-4 to 8): bucket i covers (b^(i-1), b^i] with b = 2^(2^-schema).
    `first` is the index of the first bucket; `counts` is float64 of shape (m,), not cumulative.
    """

    schema: int
    zero_count: float
    first: int
    counts: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Values:
    """The values of a counter, gauge or unknown family: float64 of shape (series,)."""

    values: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Histograms:
    """The values of a histogram family, in the family's unit.

    `bounds` has b upper bounds, ascending, without +Inf. `bucket_counts` is float64 of shape
    (series, b + 1), not cumulative, +Inf last. `counts` and `sums` are float64 (series,).
    `native` has an element for each series, or is None where the family has no native form.
    """

    bounds: tuple[float, ...]
    bucket_counts: npt.NDArray[np.float64]
    counts: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]
    native: Sequence[NativeBuckets] | None


@dataclass(frozen=True, slots=True)
class FamilySnapshot:
    """All series of one family.

    `labels` has the label values of each series, aligned with `label_names`; an empty value
    means that the series has no such label; None stands for the overflow series. `created` is
    float64 (series,), seconds since the Unix epoch.
    """

    family: Family
    label_names: tuple[str, ...]
    labels: Sequence[LabelValues | None]
    created: npt.NDArray[np.float64]
    data: Values | Histograms

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
