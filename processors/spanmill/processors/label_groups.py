"""Which rows of a batch have the same labels, found from their dictionary codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from spanmill.errors import DeclarationError
from spanmill.series.label_values import MAX_LENGTH, label_value
from spanmill.series.snapshot import LabelValues
from spanmill.spans.batch import Coded

Number = TypeVar("Number", bound=np.generic)
Label = Coded[Any] | str
"""Where a label's values are from: a coded column, or one text for all rows."""

_Texts = tuple[npt.NDArray[np.integer[Any]], list[str]]
"""The code of each row, and the text of each code; the last is that of ABSENT, -1."""

_MAX_KEY: Final = 2**62
_SPARE: Final = 1024


@dataclass(frozen=True, slots=True, eq=False)
class LabelGroups:
    """The k groups of m rows that have the same labels.

    - `labels`: the label set of each group. A column whose values repeat makes several groups of
      one label set.
    - `counts`: int64 (k,), how many rows each has.
    - `key`: (m,), a number below `size` for each row, equal in a group.
    - `present`: int64 (k,), the key of each group.
    - `chosen`: int64 (m,), the rows of the batch; None where it is all of them.
    """

    labels: list[LabelValues]
    counts: npt.NDArray[np.int64]
    key: npt.NDArray[np.int64]
    size: int
    present: npt.NDArray[np.int64]
    chosen: npt.NDArray[np.int64] | None

    def of_rows(self, column: npt.NDArray[Number]) -> npt.NDArray[Number]:
        """What the m rows have in a column of the batch."""
        return column if self.chosen is None else column.take(self.chosen)

    def sums(self, amounts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The sum of `amounts` (m,) in each group: float64 (k,)."""
        totals = np.bincount(self.key, amounts, self.size).astype(np.float64, copy=False)
        return totals[self.present]

    def spread(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """What each row's group has in `values` (k,): int64 (m,)."""
        table = np.empty(self.size, np.int64)
        table[self.present] = values
        return table[self.key]


def label_groups(
    labels: Sequence[Label], spans: int, where: npt.NDArray[np.bool_] | None
) -> LabelGroups:
    """Group the rows of a batch, all or those of `where` (spans,), by their labels.

    A row without a value has the empty text, which in Prometheus is the same as no such label.
    Raises DeclarationError where a column has another number of rows than the batch.
    """
    chosen = None if where is None else _chosen(where, spans)
    rows = spans if chosen is None else len(chosen)
    key = np.zeros(rows, np.int64)
    size = 1
    columns: list[_Texts | str] = []
    for label in labels:
        if isinstance(label, str):
            columns.append(label_value(label))
            continue
        _check_rows(label, spans)
        codes = label.codes if chosen is None else label.codes.take(chosen)
        radix = len(label.values) + 1
        if size * radix > _MAX_KEY:
            dense, key = np.unique(key, return_inverse=True)
            size = len(dense)
        # In place, since ABSENT is -1: each code one higher, so that none is negative.
        key = key * radix if size > 1 else np.zeros(rows, np.int64)
        key += codes
        key += 1
        size *= radix
        columns.append((label.codes, _texts(label.values)))
    if size <= 4 * rows + _SPARE:
        # Counting into a table of all keys is several times as fast as sorting them.
        table = np.bincount(key, minlength=size)
        present = table.nonzero()[0]
        counts = table.take(present)
        a_row = np.empty(size, np.int64)
        a_row[key] = np.arange(rows)
        first = a_row.take(present)
    else:
        _, first, key, counts = np.unique(
            key, return_index=True, return_inverse=True, return_counts=True
        )
        size = len(first)
        present = np.arange(size)
    if chosen is not None:
        first = chosen.take(first)
    return LabelGroups(_label_sets(columns, first), counts, key, size, present, chosen)


def _label_sets(columns: Sequence[_Texts | str], rows: npt.NDArray[np.int64]) -> list[LabelValues]:
    """The label sets of these rows."""
    if not columns:
        return [()] * len(rows)
    values = [
        repeat(column, len(rows))
        if isinstance(column, str)
        else [column[1][code] for code in column[0].take(rows).tolist()]
        for column in columns
    ]
    return list(zip(*values, strict=True))


def _texts(values: Sequence[Any]) -> list[str]:
    texts = [
        value if type(value) is str and len(value) <= MAX_LENGTH else label_value(value)
        for value in values
    ]
    texts.append("")  # where ABSENT, -1, leads
    return texts


def _chosen(where: npt.NDArray[np.bool_], spans: int) -> npt.NDArray[np.int64]:
    if where.dtype != np.bool_ or where.shape != (spans,):
        raise DeclarationError(
            f"where must be a bool for each of the {spans} spans; given {where.dtype} of shape "
            f"{where.shape}"
        )
    return where.nonzero()[0]


def _check_rows(label: object, spans: int) -> None:
    if not isinstance(label, Coded):
        raise DeclarationError(
            "a label's values come from a coded column, such as batch.name or "
            f"batch.attributes[…], or are one text; given {type(label).__name__}"
        )
    if len(label.codes) != spans:
        raise DeclarationError(f"a label's column has {len(label.codes)} rows, the batch {spans}")
