"""Which spans of a batch agree in all that tells series apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.spans.batch import ABSENT, SPAN_KINDS, STATUS_CODES, Groups, SpanBatch

_MAX_KEY: Final = 2**62


def groups_of(batch: SpanBatch, attributes: tuple[str, ...]) -> Groups:
    """The groups by resource, name, kind, status and these attributes.

    Those that the decoder found where they are by the same attributes, else made here.
    """
    if batch.groups is not None and batch.groups.attributes == attributes:
        return batch.groups
    columns = [batch.attributes[key] for key in attributes]
    key = combined(
        [
            (batch.resource.codes, len(batch.resource.values)),
            (batch.name.codes, len(batch.name.values)),
            (batch.kind, len(SPAN_KINDS)),
            (batch.status, len(STATUS_CODES)),
            *((column.codes, len(column.values)) for column in columns),
        ]
    )
    _, first, inverse, counts = np.unique(
        key, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    numbers = np.empty(len(order), np.int32)
    numbers[order] = np.arange(len(order), dtype=np.int32)
    return Groups(attributes, numbers[inverse], first[order], counts[order])


def combined(
    columns: Sequence[tuple[npt.NDArray[np.generic], int]],
) -> npt.NDArray[np.int64]:
    """One number a row that is equal where all codes are: int64 (n,).

    Each column is its codes and their number; codes may be ABSENT. Where the product of the
    sizes would not fit into an int64, the numbers so far are made dense first.
    """
    key = np.zeros(len(columns[0][0]), np.int64)
    size = 1
    for codes, distinct in columns:
        radix = distinct + 1
        if size * radix > _MAX_KEY:
            _, key = np.unique(key, return_inverse=True)
            size = len(key)
        key = key * radix + (codes.astype(np.int64) - ABSENT)
        size *= radix
    return key
