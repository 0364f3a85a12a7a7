"""The OpenMetrics text format, version 1.0.0.

In one thing we go beyond it: counts of histograms may be fractions once spans are weighted, as
Prometheus reads them. Rounding them would part them from the other formats.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from spanmill.exporters.exposition.chunks import text_chunks
from spanmill.exporters.exposition.lines import (
    LabelTexts,
    Sample,
    escape_quoted,
    sample_values,
    samples,
    series_lines,
)
from spanmill.series.snapshot import Family, FamilySnapshot


def encode(families: Sequence[FamilySnapshot], *, created_timestamps: bool) -> Iterator[bytes]:
    """The families in chunks of about 64 KiB, with `_created` lines where they are wanted."""
    return text_chunks(_pieces(families, created_timestamps))


def _pieces(families: Sequence[FamilySnapshot], created_timestamps: bool) -> Iterator[str]:
    labels = LabelTexts()
    for snapshot in families:
        family = snapshot.family
        name = _metadata_name(family)
        yield f"# TYPE {name} {family.type}\n"
        if family.help:
            yield f"# HELP {name} {escape_quoted(family.help)}\n"
        lines, values = samples(snapshot), sample_values(snapshot)
        if created_timestamps and family.type in {"counter", "histogram"}:
            lines.append(Sample(f"{name}_created"))
            values = np.column_stack((values, snapshot.created))
        yield from series_lines(lines, labels.of(snapshot), values)
    yield "# EOF\n"


def _metadata_name(family: Family) -> str:
    """A counter is named without its `_total`, which belongs to the sample."""
    return family.name.removesuffix("_total") if family.type == "counter" else family.name
