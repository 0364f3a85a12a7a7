"""Batches that can't be written into."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spanmill.spans.batch import SpanBatch


def make_read_only(batch: SpanBatch) -> None:
    """Let every later write into an array of the batch raise ValueError.

    Where the first array is so already, all of them are: several processors take one batch.
    """
    if not batch.kind.flags.writeable and not batch.weight.flags.writeable:
        return
    arrays: tuple[npt.NDArray[np.generic], ...] = (
        batch.resource.codes,
        batch.scope.codes,
        batch.name.codes,
        batch.status,
        batch.start,
        batch.end,
        batch.duration,
        batch.trace_id,
        batch.span_id,
        batch.parent_id,
        batch.size,
        batch.span_start,
        batch.span_length,
        *(column.codes for column in batch.attributes.values()),
        batch.kind,
        batch.weight,
    )
    for array in arrays:
        array.flags.writeable = False
