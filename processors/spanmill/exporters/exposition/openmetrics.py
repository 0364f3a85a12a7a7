"""The OpenMetrics text format, version 1.0.0.

In three things we go beyond it, as Prometheus's own client_golang does, since Prometheus reads
them and another form would part us from the other formats: counts of histograms may be fractions
once spans are weighted; a service's histogram of values below 0 keeps its sum; quantiles of its
summaries may be below 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from spanmill.exporters.exposition.chunks import text_chunks
from spanmill.exporters.exposition.exemplars import exemplar_text
from spanmill.exporters.exposition.families import by_family
from spanmill.exporters.exposition.lines import (
    LabelTexts,
    Sample,
    Suffixes,
    escape_quoted,
    sample_values,
    samples,
    series_lines,
)
from spanmill.series.snapshot import (
    Family,
    FamilySnapshot,
    FamilyType,
    Histograms,
    Summaries,
)


def encode(families: Sequence[FamilySnapshot], *, created_timestamps: bool) -> Iterator[bytes]:
    """The families in chunks of about 64 KiB, with `_created` lines where they are wanted."""
    return text_chunks(_pieces(families, created_timestamps))


def _pieces(families: Sequence[FamilySnapshot], created_timestamps: bool) -> Iterator[str]:
    labels = LabelTexts()
    for family, snapshots in by_family(families):
        kind, name = _type(family), _metadata_name(family)
        yield f"# TYPE {name} {kind}\n"
        if family.unit and name.endswith(f"_{family.unit}"):
            yield f"# UNIT {name} {family.unit}\n"
        if family.help:
            yield f"# HELP {name} {escape_quoted(family.help)}\n"
        stamped = created_timestamps and kind in {"counter", "histogram", "summary"}
        for snapshot in snapshots:
            lines, values = samples(snapshot), sample_values(snapshot)
            if isinstance(snapshot.data, Histograms | Summaries):
                # `_sum` and `_count` are there both or neither (OpenMetrics 1.0, Histogram).
                values[np.isnan(snapshot.data.sums), -1] = np.nan
            if stamped:
                lines.append(Sample(f"{name}_created", always=False))
                values = np.column_stack((values, snapshot.created))
            suffixes = _exemplars(snapshot, kind)
            yield from series_lines(lines, labels.of(snapshot), values, suffixes)
    yield "# EOF\n"


def _type(family: Family) -> FamilyType:
    """A counter's samples must end in `_total`."""
    nameless = family.type == "counter" and not family.name.endswith("_total")
    return "unknown" if nameless else family.type


def _metadata_name(family: Family) -> str:
    """A counter is named without its `_total`, which belongs to the sample."""
    return family.name.removesuffix("_total") if family.type == "counter" else family.name


def _exemplars(snapshot: FamilySnapshot, kind: FamilyType) -> Suffixes:
    """The exemplars' texts by series and line: bucket i of a histogram is its line i."""
    data = snapshot.data
    if isinstance(data, Summaries):
        return {}
    if not isinstance(data, Histograms):
        exemplars = data.exemplars.items() if kind == "counter" else ()
        return {series: {0: exemplar_text(exemplar)} for series, exemplar in exemplars}
    buckets = len(data.bounds) + 1
    return {
        series: {
            bucket: exemplar_text(exemplar)
            for bucket, exemplar in exemplars.items()
            if bucket < buckets
        }
        for series, exemplars in data.exemplars.items()
    }
