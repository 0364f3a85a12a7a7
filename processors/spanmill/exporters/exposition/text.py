"""Prometheus's text format, version 0.0.4; it has no exemplars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from spanmill.exporters.exposition.chunks import byte_chunks
from spanmill.exporters.exposition.families import by_family
from spanmill.exporters.exposition.lines import LineWriter, ReferenceLines, sample_values, samples
from spanmill.series.snapshot import FamilySnapshot


def encode(families: Iterable[FamilySnapshot], writer: LineWriter | None = None) -> Iterator[bytes]:
    """The families in chunks of about 512 KiB."""
    return byte_chunks(_pieces(families, writer or ReferenceLines()))


def _pieces(families: Iterable[FamilySnapshot], writer: LineWriter) -> Iterator[bytes]:
    for family, snapshots in by_family(families):
        if family.help:
            help_text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
            yield f"# HELP {family.name} {help_text}\n".encode()
        type_name = "untyped" if family.type == "unknown" else family.type
        yield f"# TYPE {family.name} {type_name}\n".encode()
        for snapshot in snapshots:
            yield from writer.write(samples(snapshot), snapshot, sample_values(snapshot))
