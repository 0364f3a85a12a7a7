"""Which peer a span names, for a peer that sends no spans itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.processors.service_graph.names import NO_NAME
from spanmill.series.label_values import label_value
from spanmill.spans.batch import ABSENT, SpanBatch

DATABASE_ATTRIBUTES: Final = ("db.system.name", "db.system", "db.namespace", "db.name")
"""A client span with any of these calls a database (semantic conventions 1.30 and before)."""


def peer_names(
    batch: SpanBatch,
    rows: npt.NDArray[np.int64],
    attributes: Sequence[str],
    code: Callable[[str], int],
) -> npt.NDArray[np.int32]:
    """The code of the name that each row's peer has: int32 (len(rows),), NO_NAME without one.

    The first of the attributes that a span has, and that isn't empty, gives the name.
    """
    names = np.full(len(rows), NO_NAME, np.int32)
    for attribute in attributes:
        column = batch.attributes[attribute]
        if not len(column.values):
            continue
        codes = column.codes[rows]
        unnamed = np.flatnonzero((names == NO_NAME) & (codes != ABSENT))
        if not len(unnamed):
            continue
        distinct, inverse = np.unique(codes[unnamed], return_inverse=True)
        texts = [label_value(column.values[value]) for value in distinct.tolist()]
        coded = np.array([code(text) if text else NO_NAME for text in texts], np.int32)
        names[unnamed] = coded[inverse]
    return names


def calls_database(batch: SpanBatch, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether each row has an attribute of database clients: bool (len(rows),)."""
    found = np.zeros(len(rows), np.bool_)
    for attribute in DATABASE_ATTRIBUTES:
        column = batch.attributes[attribute]
        if len(column.values):
            found |= column.codes[rows] != ABSENT
    return found
