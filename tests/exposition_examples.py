"""Snapshots to expose, and what a reader should find in them, computed the plain way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import prometheus_client.openmetrics.parser
import prometheus_client.parser

from spanmill.series.snapshot import (
    Family,
    FamilySnapshot,
    FamilyType,
    Histograms,
    LabelValues,
    NativeBuckets,
    Values,
)

HOSTILE = 'quote " backslash \\ newline \n end\\'
CREATED = 1_700_000_000.25


@dataclass(frozen=True)
class Sample:
    """One value of one series."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sample):
            return NotImplemented
        return (self.name, self.labels) == (other.name, other.labels) and same_float(
            self.value, other.value
        )

    def __hash__(self) -> int:
        return hash((self.name, self.labels))


def same_float(left: float, right: float) -> bool:
    """Equal bit for bit, but for the many forms of NaN."""
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right and math.copysign(1, left) == math.copysign(1, right)


def values_family(
    name: str,
    kind: FamilyType,
    values: Sequence[float],
    *,
    names: tuple[str, ...] = (),
    labels: Sequence[LabelValues | None] = ((),),
    text: str = "Some help.",
) -> FamilySnapshot:
    return FamilySnapshot(
        family=Family(name, kind, text),
        label_names=names,
        labels=list(labels),
        created=np.full(len(labels), CREATED),
        data=Values(np.asarray(values, np.float64)),
    )


def histogram_family(
    name: str,
    bounds: tuple[float, ...],
    bucket_counts: Sequence[Sequence[float]],
    sums: Sequence[float],
    *,
    names: tuple[str, ...] = (),
    labels: Sequence[LabelValues | None] = ((),),
    native: Sequence[NativeBuckets] | None = None,
) -> FamilySnapshot:
    counts = np.asarray(bucket_counts, np.float64).reshape(len(labels), len(bounds) + 1)
    return FamilySnapshot(
        family=Family(name, "histogram", "Some help."),
        label_names=names,
        labels=list(labels),
        created=np.full(len(labels), CREATED),
        data=Histograms(bounds, counts, counts.sum(axis=1), np.asarray(sums, np.float64), native),
    )


def native(
    schema: int, first: int, counts: Sequence[float], zero_count: float = 0.0
) -> NativeBuckets:
    return NativeBuckets(schema, zero_count, first, np.asarray(counts, np.float64))


def example_families() -> list[FamilySnapshot]:
    """Some of everything, for the golden files."""
    names = ("service", "span_name", "http_route")
    labels: list[LabelValues | None] = [("shop", "GET /", "/"), ("shop", HOSTILE, ""), None]
    return [
        values_family("calls_total", "counter", [5, 12.5, 1e16], names=names, labels=labels),
        histogram_family(
            "latency_seconds",
            (0.002, 1.0, 16.384),
            [[1, 2, 0, 0], [0, 0, 0, 200], [0, 0, 0, 0]],
            [0.75, 5000.125, 0],
            names=names,
            labels=labels,
            native=[
                native(8, -2300, [1, 0, 0, 2]),
                native(3, 40, [100, 0, 0, 0, 60, 40]),
                native(8, 0, []),
            ],
        ),
        histogram_family("weighted_seconds", (0.5,), [[0.5, 1.25]], [2.0]),
        values_family(
            "gauge",
            "gauge",
            [math.nan, math.inf, -math.inf, -0.0, 1e-7],
            names=("kind",),
            labels=[("nan",), ("inf",), ("-inf",), ("-0",), ("small",)],
            text='A "help"\nof two lines \\ and a backslash.',
        ),
        values_family("http_errors_5xx", "unknown", [3], text=""),
    ]


def expected_samples(families: Sequence[FamilySnapshot]) -> list[Sample]:
    """The samples that a scrape has, without created stamps and native histograms."""
    samples = []
    for snapshot in families:
        name, data = snapshot.family.name, snapshot.data
        for i, pairs in enumerate(snapshot.label_pairs()):
            if isinstance(data, Values):
                samples.append(Sample(name, tuple(sorted(pairs)), float(data.values[i])))
                continue
            count = float(data.counts[i])
            running = 0.0
            for bound, inside in zip(data.bounds, data.bucket_counts[i], strict=False):
                running += float(inside)
                labels = tuple(sorted((*pairs, ("le", repr(bound)))))
                samples.append(Sample(f"{name}_bucket", labels, running))
            labels = tuple(sorted((*pairs, ("le", "+Inf"))))
            samples.append(Sample(f"{name}_bucket", labels, count))
            samples.append(Sample(f"{name}_sum", tuple(sorted(pairs)), float(data.sums[i])))
            samples.append(Sample(f"{name}_count", tuple(sorted(pairs)), count))
    return samples


def read_text(data: bytes) -> list[Sample]:
    """The samples of a text 0.0.4 exposition, in order."""
    return _samples(prometheus_client.parser.text_string_to_metric_families(data.decode()))


def read_openmetrics(data: bytes) -> list[Sample]:
    """The samples of an OpenMetrics exposition, in order; this parser is strict."""
    parse: Any = prometheus_client.openmetrics.parser.text_string_to_metric_families
    return _samples(parse(data.decode()))


def _samples(families: Any) -> list[Sample]:
    return [
        Sample(sample.name, tuple(sorted(sample.labels.items())), float(sample.value))
        for family in families
        for sample in family.samples
    ]
