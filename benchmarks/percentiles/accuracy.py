"""Errors of quantiles: ours, and those that Prometheus takes from histograms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spanmill.config.span_metrics import SpanMetricsConfig
from spanmill.processors.percentiles import QUANTILES
from spanmill.series.native import NativeHistograms
from spanmill.series.window import SLOT_NS, SlotRing
from spanmill.series.window_histogram import HistogramWindow

Durations = npt.NDArray[np.uint64]

_LEAST_SPANS = 20


def errors(series: Sequence[Durations]) -> dict[str, npt.NDArray[np.float64]]:
    """The relative errors of each way, over all series of at least 20 spans and QUANTILES.

    Series are durations in nanoseconds, each above 0.
    """
    buckets = SpanMetricsConfig().buckets
    found: dict[str, list[float]] = {}
    for durations in series:
        if len(durations) < _LEAST_SPANS or not durations.all():
            continue
        ascending = np.sort(durations)
        ways = {
            "spanmill_latency_seconds": _ours(durations),
            "native histogram, 160 buckets": [_native(durations, q) for q in QUANTILES],
            "classic, the Collector's 16 bounds": _classic_all(durations, buckets.otel),
            "classic, Tempo's 14 bounds": _classic_all(durations, buckets.tempo),
        }
        for way, values in ways.items():
            for quantile, value in zip(QUANTILES, values, strict=True):
                rank = int(np.ceil(quantile * len(ascending) * (1 - 1e-12)))
                truth = float(ascending[rank - 1])
                found.setdefault(way, []).append(abs(value / truth - 1))
    return {way: np.array(relative) for way, relative in found.items()}


def _ours(durations: Durations) -> list[float]:
    ring = SlotRing(SLOT_NS)
    ring.advance(0)
    window = HistogramWindow(ring, 1)
    zeros = np.zeros(len(durations), np.int64)
    window.observe(zeros, zeros, durations, np.ones(len(durations)))
    values: list[float] = window.quantiles(QUANTILES)[0].tolist()
    return values


def _classic_all(durations: Durations, bounds: Sequence[int]) -> list[float]:
    return [_classic(durations, bounds, quantile) for quantile in QUANTILES]


def _classic(durations: Durations, bounds: Sequence[int], quantile: float) -> float:
    """As Prometheus's histogram_quantile: linear inside a bucket, the last bound beyond it."""
    edges = np.array([0, *bounds], np.float64)
    upper = edges[1:].astype(np.uint64)
    counts = np.bincount(np.searchsorted(upper, durations), minlength=len(bounds) + 1)
    running = np.cumsum(counts)
    rank = quantile * len(durations)
    bucket = int(np.searchsorted(running, rank))
    if bucket >= len(bounds):
        return float(edges[-1])
    share = (rank - (running[bucket] - counts[bucket])) / counts[bucket]
    return float(edges[bucket] + (edges[bucket + 1] - edges[bucket]) * share)


def _native(durations: Durations, quantile: float) -> float:
    """As Prometheus's histogram_quantile: exponential inside a bucket."""
    histograms = NativeHistograms()
    histograms.grow(1)
    rows = np.zeros(len(durations), np.int64)
    histograms.observe(rows, durations.astype(np.float64) / 1e9, np.ones(len(durations)))
    buckets = histograms.buckets(0)
    running = np.cumsum(buckets.counts)
    rank = quantile * len(durations)
    bucket = int(np.searchsorted(running, rank))
    share = (rank - (running[bucket] - buckets.counts[bucket])) / buckets.counts[bucket]
    return float(2.0 ** ((buckets.first + bucket - 1 + share) * 2.0**-buckets.schema)) * 1e9
