"""Span links, read from the spans' bytes for the rows asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanmill.spans.batch import SpanBatch

Link = tuple[bytes, bytes]
"""The trace id (16 bytes) and the span id (8 bytes) that a link points to."""

_NO_SPAN_ID: Final = bytes(8)


def span_links(batch: SpanBatch, rows: Iterable[int]) -> Iterator[tuple[Link, ...]]:
    """The links of each of these rows, in the order of the bytes.

    A link whose ids have a wrong length, or whose span id is all zero, points to no span and is
    left out; OTLP rejects no span for it. Costs about 2 µs a row; next to nothing for one of
    which the decoder has seen that it has no link.
    """
    for row in rows:
        if batch.linked is not None and not batch.linked[row]:
            yield ()
            continue
        links = Span.FromString(batch.span_bytes(row)).links
        yield tuple(
            (link.trace_id, link.span_id)
            for link in links
            if len(link.trace_id) == 16 and len(link.span_id) == 8 and link.span_id != _NO_SPAN_ID
        )
