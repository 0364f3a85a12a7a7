"""The OpenMetrics text format, version 1.0.0.

It has no form for some things that the other formats have: of counts of weighted spans the whole
part is shown; a histogram without a sum, or with values below 0, has neither `_sum` nor `_count`
(its bucket for +Inf is the count); a quantile below 0 is NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from spanmill.exporters.exposition.chunks import byte_chunks
from spanmill.exporters.exposition.exemplars import exemplar_text
from spanmill.exporters.exposition.families import by_family
from spanmill.exporters.exposition.histograms import whole_counts
from spanmill.exporters.exposition.lines import (
    LineWriter,
    Sample,
    Suffixes,
    escape_quoted,
    sample_values,
    samples,
)
from spanmill.exporters.exposition.packed_exemplars import packed_texts
from spanmill.series.packed_exemplars import PackedExemplars
from spanmill.series.snapshot import (
    Family,
    FamilySnapshot,
    FamilyType,
    Histograms,
    Summaries,
)


def encode(
    families: Iterable[FamilySnapshot], writer: LineWriter, *, created_timestamps: bool
) -> Iterator[bytes]:
    """The families in chunks of about 512 KiB, with `_created` lines where they are wanted."""
    return byte_chunks(_pieces(families, writer, created_timestamps))


def _pieces(
    families: Iterable[FamilySnapshot], writer: LineWriter, created_timestamps: bool
) -> Iterator[bytes]:
    for family, snapshots in by_family(families):
        kind, name = _type(family), _metadata_name(family)
        yield f"# TYPE {name} {kind}\n".encode()
        if family.unit and name.endswith(f"_{family.unit}"):
            yield f"# UNIT {name} {family.unit}\n".encode()
        if family.help:
            yield f"# HELP {name} {escape_quoted(family.help)}\n".encode()
        stamped = created_timestamps and kind in {"counter", "histogram", "summary"}
        for snapshot in snapshots:
            lines, values = samples(snapshot), _strict_values(snapshot)
            if stamped:
                lines.append(Sample(f"{name}_created", always=False))
                values = np.column_stack((values, snapshot.created))
            suffixes = _exemplars(snapshot, kind)
            yield from writer.write(lines, snapshot, values, suffixes)
    yield b"# EOF\n"


def _strict_values(snapshot: FamilySnapshot) -> npt.NDArray[np.float64]:
    """What stands on the lines of `samples`, as far as OpenMetrics has a form for it."""
    values, data = sample_values(snapshot), snapshot.data
    if not isinstance(data, Histograms | Summaries):
        return values
    without_sum = ~(data.sums >= 0)
    if isinstance(data, Histograms):
        without_sum |= bool(data.bounds) and data.bounds[0] < 0
        values[:, :-2] = whole_counts(values[:, :-2])
    else:
        values[:, :-2][values[:, :-2] < 0] = np.nan
    values[:, -1] = whole_counts(values[:, -1])
    values[without_sum, -2:] = np.nan  # both or neither
    return values


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
    if isinstance(data.exemplars, PackedExemplars):
        return _packed_exemplars(data.exemplars)
    return {
        series: {
            bucket: exemplar_text(exemplar)
            for bucket, exemplar in exemplars.items()
            if bucket < buckets
        }
        for series, exemplars in data.exemplars.items()
    }


def _packed_exemplars(exemplars: PackedExemplars) -> Suffixes:
    """As above; those of columns have no buckets past the bounds."""
    suffixes: dict[int, dict[int, str]] = {}
    places = zip(exemplars.positions.tolist(), exemplars.buckets.tolist(), strict=True)
    for (series, bucket), text in zip(places, packed_texts(exemplars), strict=True):
        suffixes.setdefault(series, {})[bucket] = text
    return suffixes
