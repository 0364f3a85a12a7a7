"""Which formats there are, and the encoder of each."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from types import ModuleType

from spanmill.exporters.exposition import openmetrics, protobuf, text
from spanmill.exporters.exposition.compiled import CompiledLines, CompiledMetrics
from spanmill.exporters.exposition.lines import ReferenceLines
from spanmill.exporters.exposition.protobuf import ReferenceMetrics
from spanmill.series.snapshot import FamilySnapshot


class Format(enum.Enum):
    """A format of exposition; the value is its Content-Type without the escaping."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    # What Prometheus asked for before 2.41: the same lines under an older number.
    OPENMETRICS_0_0_1 = "application/openmetrics-text; version=0.0.1; charset=utf-8"
    PROTOBUF = (
        "application/vnd.google.protobuf; "
        "proto=io.prometheus.client.MetricFamily; encoding=delimited"
    )


def render(
    families: Iterable[FamilySnapshot],
    form: Format,
    *,
    created_timestamps: bool,
    kernel: ModuleType | None = None,
) -> Iterator[bytes]:
    """The families in this format, in chunks of about 512 KiB, rendered as they are taken.

    Metric and label names must be legal ones ([a-zA-Z_:][a-zA-Z0-9_:]*, no `le` beside buckets, no
    `quantile` beside quantiles); help, label values and exemplars may be any text. Snapshots of
    one family follow each other and have no series in common.

    `created_timestamps` adds `_created` lines to OpenMetrics; the protobuf form always has the
    stamps, and the text format can't. `kernel` is what `load_renderer` gave: the bytes are the
    same without one.
    """
    if form is Format.PROTOBUF:
        metrics = CompiledMetrics(kernel) if kernel is not None else ReferenceMetrics()
        return protobuf.encode(families, metrics)
    lines = CompiledLines(kernel) if kernel is not None else ReferenceLines()
    if form is Format.TEXT:
        return text.encode(families, lines)
    return openmetrics.encode(families, lines, created_timestamps=created_timestamps)
