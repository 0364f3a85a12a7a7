"""How many spans a received one stands for, where the input was sampled before.

Sources: OpenTelemetry's "TraceState: Probability Sampling" (sub-key `th` of `ot`) and W3C Trace
Context, section 3.3 (the list of members).
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Final

import numpy as np

from spanmill.spans.batch import AttributeValue, SpanBatch

MAX_WEIGHT: Final = float(1 << 20)
"""The most spans that one may stand for: a wrong threshold must not drown every other span."""

_OT_MEMBER: Final = re.compile(r"(?:^|,)[ \t]*ot=([^,]*)")
_THRESHOLD: Final = re.compile(r"(?:^|;)th:([0-9a-f]{1,14})(?:;|[ \t]*$)")
_THRESHOLD_DIGITS: Final = 14
_ALL: Final = 1 << 56


def threshold_weight(trace_state: str) -> float:
    """1/p for a span that was sampled with probability p; 1 without a readable threshold.

    The threshold T has up to 14 hexadecimal digits, trailing zeros left out, and
    p = (2^56 - T) / 2^56. At most MAX_WEIGHT.
    """
    member = _OT_MEMBER.search(trace_state)
    found = _THRESHOLD.search(member[1]) if member is not None else None
    if found is None:
        return 1.0
    # In integers: as doubles, 2^56 - T is 0 for the highest thresholds.
    kept = _ALL - int(found[1].ljust(_THRESHOLD_DIGITS, "0"), 16)
    return min(_ALL / kept, MAX_WEIGHT)


def weighted_by(batch: SpanBatch, attribute: str) -> SpanBatch:
    """The same spans, those with this attribute weighted by it.

    It must be one of the batch's attribute columns. A number, or a string of one, from 1 to
    MAX_WEIGHT (and to that where it is more); another value leaves the weight as it was.
    """
    column = batch.attributes[attribute]
    if not column.values:
        return batch
    multipliers = np.array([_multiplier(value) for value in column.values])[column.codes]
    given = (column.codes >= 0) & (multipliers > 0)
    return dataclasses.replace(batch, weight=np.where(given, multipliers, batch.weight))


def _multiplier(value: AttributeValue) -> float:
    """The attribute as a weight; 0 where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 0.0
    if isinstance(value, str) and "_" in value:  # which Python reads as a number
        return 0.0
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return 0.0
    return min(number, MAX_WEIGHT) if math.isfinite(number) and number >= 1 else 0.0
