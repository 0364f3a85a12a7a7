"""Exemplars as OTLP has them: the ids of the trace in fields of their own.

Field numbers are those of opentelemetry/proto/metrics/v1/metrics.proto, `Exemplar`.
"""

from __future__ import annotations

import math
from typing import Final

from spanmill.exporters.exposition.exemplars import fitting_labels
from spanmill.exporters.exposition.wire import FIXED64, LENGTH, key, length_delimited, pack_double
from spanmill.exporters.otlp_metrics.attributes import key_value
from spanmill.series.snapshot import Exemplar

_TIME = key(2, FIXED64)
_VALUE = key(3, FIXED64)
_ATTRIBUTE = key(7, LENGTH)
_ID_FIELDS: Final = {"trace_id": (key(5, LENGTH), 16), "span_id": (key(4, LENGTH), 8)}


def exemplar_message(exemplar: Exemplar) -> bytes:
    """An `Exemplar`, without a time where its moment is NaN."""
    parts = [_VALUE + pack_double(exemplar.value)]
    if not math.isnan(exemplar.seconds):
        parts.append(_TIME + round(exemplar.seconds * 1e9).to_bytes(8, "little"))
    for name, text in fitting_labels(exemplar):
        field, size = _ID_FIELDS.get(name, (b"", 0))
        identity = _id(text, size)
        if identity is not None:
            parts.append(length_delimited(field, identity))
        else:
            parts.append(length_delimited(_ATTRIBUTE, key_value(name, text)))
    return b"".join(parts)


def _id(text: str, size: int) -> bytes | None:
    """The bytes of a hexadecimal id of this size; None of anything else."""
    if not size or len(text) != 2 * size:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None
