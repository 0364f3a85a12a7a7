"""Encoding as a test wants it."""

from __future__ import annotations

from collections.abc import Sequence

from exporters.otlp_metrics.decoded import Pushed, pushed_points
from spanmill.exporters.otlp_metrics.metric import HistogramForm
from spanmill.exporters.otlp_metrics.requests import encode
from spanmill.exporters.otlp_metrics.shown import Shown
from spanmill.series.snapshot import FamilySnapshot
from spanmill.spans.split import Part

NOW = 1_700_000_100 * 10**9
MIB = 1 << 20


def parts_of(
    *families: FamilySnapshot,
    gone: Sequence[Shown] = (),
    histograms: HistogramForm = "native",
    max_bytes: int = MIB,
) -> list[Part]:
    return list(
        encode(
            families,
            gone,
            time_ns=NOW,
            histograms=histograms,
            instance_id="host:9464",
            max_bytes=max_bytes,
        )
    )


def points_of(
    *families: FamilySnapshot,
    gone: Sequence[Shown] = (),
    histograms: HistogramForm = "native",
) -> list[Pushed]:
    parts = parts_of(*families, gone=gone, histograms=histograms)
    return list(pushed_points(part.payload for part in parts))
