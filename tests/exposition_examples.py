"""Snapshots to expose, and what a reader should find in them, computed the plain way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import prometheus_client.openmetrics.parser
import prometheus_client.parser

from spanmill.series.snapshot import (
    Exemplar,
    Family,
    FamilySnapshot,
    FamilyType,
    Histograms,
    LabelValues,
    NativeBuckets,
    Summaries,
    Values,
)

HOSTILE = 'quote " backslash \\ newline \n end\\'
CREATED = 1_700_000_000.25
MOMENT = 1_700_000_060.5


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
    unit: str = "",
    exemplars: Mapping[int, Exemplar] | None = None,
) -> FamilySnapshot:
    return FamilySnapshot(
        family=Family(name, kind, text, unit),
        label_names=names,
        labels=list(labels),
        created=np.full(len(labels), CREATED),
        data=Values(np.asarray(values, np.float64), exemplars or {}),
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
    unit: str = "",
    exemplars: Mapping[int, Mapping[int, Exemplar]] | None = None,
) -> FamilySnapshot:
    counts = np.asarray(bucket_counts, np.float64).reshape(len(labels), len(bounds) + 1)
    totals, summed = counts.sum(axis=1), np.asarray(sums, np.float64)
    return FamilySnapshot(
        family=Family(name, "histogram", "Some help.", unit),
        label_names=names,
        labels=list(labels),
        created=np.full(len(labels), CREATED),
        data=Histograms(bounds, counts, totals, summed, native, exemplars or {}),
    )


def summary_family(
    name: str,
    quantiles: tuple[float, ...],
    values: Sequence[Sequence[float]],
    counts: Sequence[float],
    sums: Sequence[float],
    *,
    names: tuple[str, ...] = (),
    labels: Sequence[LabelValues | None] = ((),),
) -> FamilySnapshot:
    shaped = np.asarray(values, np.float64).reshape(len(labels), len(quantiles))
    counted, summed = np.asarray(counts, np.float64), np.asarray(sums, np.float64)
    return FamilySnapshot(
        family=Family(name, "summary", "Some help."),
        label_names=names,
        labels=list(labels),
        created=np.full(len(labels), CREATED),
        data=Summaries(quantiles, shaped, counted, summed),
    )


def exemplar(value: float, trace_id: str = "a" * 32, seconds: float = MOMENT) -> Exemplar:
    return Exemplar((("trace_id", trace_id), ("span_id", "b" * 16)), value, seconds)


def native(
    schema: int, first: int, counts: Sequence[float], zero_count: float = 0.0
) -> NativeBuckets:
    return NativeBuckets(schema, zero_count, first, np.asarray(counts, np.float64))


def both_signs() -> NativeBuckets:
    return NativeBuckets(
        schema=0,
        zero_count=2.0,
        first=1,
        counts=np.array([3.0]),
        zero_threshold=0.25,
        negative_first=-2,
        negative_counts=np.array([1.0, 0.0, 0.0, 0.0, 4.0]),
    )


def example_families() -> list[FamilySnapshot]:
    """What is derived from spans, and what is odd in values and labels."""
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


def further_families() -> list[FamilySnapshot]:
    """Exemplars, units, and what only services' own metrics have."""
    unstamped = values_family("bytes_total", "counter", [7], names=("a",), labels=[("2",)])
    unstamped.created[:] = math.nan
    return [
        values_family(
            "bytes_total",
            "counter",
            [5, 6],
            names=("a",),
            labels=[("",), ("1",)],
            unit="bytes",
            exemplars={1: exemplar(0.5)},
        ),
        unstamped,
        values_family("hits", "counter", [4], exemplars={0: exemplar(1)}),
        histogram_family(
            "wait_seconds",
            (0.5, 2.0),
            [[1, 0, 2], [0, 1, 0]],
            [9.5, 1.5],
            names=("a",),
            labels=[("1",), ("2",)],
            unit="seconds",
            native=[native(0, 0, [1, 0, 2]), native(0, 1, [1])],
            exemplars={0: {2: exemplar(4.0), 0: exemplar(0.25, "c" * 32, MOMENT + 1)}},
        ),
        histogram_family(
            "wait_seconds", (1.0,), [[1, 0]], [0.5], names=("b",), labels=[("3",)], unit="seconds"
        ),
        histogram_family("change", (), [[10]], [3.5], native=[both_signs()]),
        summary_family(
            "size",
            (0.5, 1.0),
            [[2.0, 8.0], [math.nan, math.nan]],
            [4, 0],
            [12.5, 0],
            names=("a",),
            labels=[("1",), ("2",)],
        ),
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
            if isinstance(data, Histograms):
                samples += _buckets(name, pairs, data, i)
            else:
                for quantile, value in zip(data.quantiles, data.values[i], strict=True):
                    labels = tuple(sorted((*pairs, ("quantile", repr(quantile)))))
                    samples.append(Sample(name, labels, float(value)))
            samples.append(Sample(f"{name}_sum", tuple(sorted(pairs)), float(data.sums[i])))
            samples.append(Sample(f"{name}_count", tuple(sorted(pairs)), count))
    return samples


def _buckets(
    name: str, pairs: tuple[tuple[str, str], ...], data: Histograms, i: int
) -> list[Sample]:
    samples = []
    running = 0.0
    for bound, inside in zip(data.bounds, data.bucket_counts[i], strict=False):
        running += float(inside)
        labels = tuple(sorted((*pairs, ("le", repr(bound)))))
        samples.append(Sample(f"{name}_bucket", labels, running))
    labels = tuple(sorted((*pairs, ("le", "+Inf"))))
    return [*samples, Sample(f"{name}_bucket", labels, float(data.counts[i]))]


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
