"""Exemplars that are still in arrays, in the terms of the formats: no object is made for any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spanmill.exporters.exposition.numbers import number_texts
from spanmill.exporters.exposition.protobuf_messages import (
    exemplar_stamp_field,
    exemplar_value_field,
    label_fields,
)
from spanmill.series.packed_exemplars import PackedExemplars

# Both labels always fit into the 128 characters that the formats leave them.
_FIRST, _, _REST = label_fields((("trace_id", "0" * 32), ("span_id", "1" * 16))).partition(
    b"0" * 32
)
_SECOND: Final = _REST.removesuffix(b"1" * 16)


def packed_texts(exemplars: PackedExemplars) -> list[str]:
    """What `exemplar_text` gives, for each in the order of the arrays."""
    values = number_texts(exemplars.observed.tolist())
    moments = map(repr, exemplars.seconds.tolist())
    return [
        f' # {{trace_id="{trace}",span_id="{span}"}} {value} {moment}'
        for (trace, span), value, moment in zip(_ids(exemplars), values, moments, strict=True)
    ]


def packed_messages(exemplars: PackedExemplars) -> list[bytes]:
    """What `exemplar_message` gives, for each in the order of the arrays."""
    stamps: dict[float, bytes] = {}  # as many as there were requests
    messages = []
    columns = zip(
        _ids(exemplars), exemplars.observed.tolist(), exemplars.seconds.tolist(), strict=True
    )
    for (trace, span), value, seconds in columns:
        stamp = stamps.get(seconds)
        if stamp is None:
            stamp = stamps[seconds] = exemplar_stamp_field(seconds)
        messages.append(
            b"%b%b%b%b%b%b"
            % (_FIRST, trace.encode(), _SECOND, span.encode(), exemplar_value_field(value), stamp)
        )
    return messages


def _ids(exemplars: PackedExemplars) -> Iterator[tuple[str, str]]:
    traces, spans = exemplars.trace_ids.tobytes().hex(), exemplars.span_ids.tobytes().hex()
    for i in range(len(exemplars.positions)):
        yield traces[32 * i : 32 * i + 32], spans[16 * i : 16 * i + 16]
