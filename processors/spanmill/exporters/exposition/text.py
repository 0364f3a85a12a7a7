"""Prometheus's text format, version 0.0.4; it has no exemplars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spanmill.exporters.exposition.chunks import text_chunks
from spanmill.exporters.exposition.families import by_family
from spanmill.exporters.exposition.lines import LabelTexts, sample_values, samples, series_lines
from spanmill.series.snapshot import FamilySnapshot


def encode(families: Sequence[FamilySnapshot]) -> Iterator[bytes]:
    """The families in chunks of about 64 KiB."""
    return text_chunks(_pieces(families))


def _pieces(families: Sequence[FamilySnapshot]) -> Iterator[str]:
    labels = LabelTexts()
    for family, snapshots in by_family(families):
        if family.help:
            help_text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
            yield f"# HELP {family.name} {help_text}\n"
        type_name = "untyped" if family.type == "unknown" else family.type
        yield f"# TYPE {family.name} {type_name}\n"
        for snapshot in snapshots:
            yield from series_lines(samples(snapshot), labels.of(snapshot), sample_values(snapshot))
