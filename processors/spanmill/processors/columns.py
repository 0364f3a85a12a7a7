"""Coded columns made from those of a batch, at the price of their distinct values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import numpy as np

from spanmill.series.targets import service_of
from spanmill.spans.batch import (
    ABSENT,
    SPAN_KINDS,
    STATUS_CODES,
    AttributeValue,
    Coded,
    SpanBatch,
)

INTERNAL: Final = SPAN_KINDS.index("SPAN_KIND_INTERNAL")
SERVER: Final = SPAN_KINDS.index("SPAN_KIND_SERVER")
CLIENT: Final = SPAN_KINDS.index("SPAN_KIND_CLIENT")
PRODUCER: Final = SPAN_KINDS.index("SPAN_KIND_PRODUCER")
CONSUMER: Final = SPAN_KINDS.index("SPAN_KIND_CONSUMER")
"""What `batch.kind` has for them."""

ERROR: Final = STATUS_CODES.index("STATUS_CODE_ERROR")
"""What `batch.status` has for it."""

T = TypeVar("T")
U = TypeVar("U")


def service_names(batch: SpanBatch) -> Coded[str]:
    """The service of each span, as the span metrics name it."""
    resources = batch.resource
    return Coded(resources.codes, [service_of(r.attributes) for r in resources.values])


def resource_attribute(batch: SpanBatch, key: str) -> Coded[AttributeValue]:
    """An attribute of each span's resource; None where it has none."""
    resources = batch.resource
    return Coded(resources.codes, [r.attributes.get(key) for r in resources.values])


def map_values(column: Coded[T], function: Callable[[T], U]) -> Coded[U]:
    """`function` of each value; called once for each distinct one. Rows without stay so."""
    return Coded(column.codes, [function(value) for value in column.values])


def first_given(column: Coded[T], other: Coded[U]) -> Coded[T | U]:
    """The value of `column`, or where it has none that of `other`."""
    moved = np.where(other.codes == ABSENT, ABSENT, other.codes + np.int32(len(column.values)))
    codes = np.where(column.codes == ABSENT, moved, column.codes).astype(np.int32, copy=False)
    return Coded(codes, [*column.values, *other.values])
