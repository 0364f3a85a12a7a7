"""Which formats there are, and the encoder of each."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence

from spanmill.exporters.exposition import openmetrics, protobuf, text
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
    families: Sequence[FamilySnapshot], form: Format, *, created_timestamps: bool
) -> Iterator[bytes]:
    """The families in this format, in chunks of about 64 KiB, rendered as they are taken.

    Metric and label names must be legal ones ([a-zA-Z_:][a-zA-Z0-9_:]*, no `le` beside buckets, no
    `quantile` beside quantiles); help, label values and exemplars may be any text. Snapshots of
    one family follow each other and have no series in common.

    `created_timestamps` adds `_created` lines to OpenMetrics; the protobuf form always has the
    stamps, and the text format can't.
    """
    if form is Format.TEXT:
        return text.encode(families)
    if form is Format.PROTOBUF:
        return protobuf.encode(families)
    return openmetrics.encode(families, created_timestamps=created_timestamps)
