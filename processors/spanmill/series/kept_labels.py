"""Label sets as a kept state: each different value once, and numbers by label set."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.snapshot import LabelValues
from spanmill.series.state_reader import StateReader

LabelArray = npt.NDArray[np.object_]
"""Label values as interned texts: (n, labels)."""


def kept_labels(parts: Sequence[LabelArray]) -> Callable[[], State]:
    """What writes these label sets, (n, labels) each, later: nobody changes the arrays any more."""

    def written() -> State:
        array = np.concatenate(parts)
        columns = [_coded(array[:, label].tolist()) for label in range(array.shape[1])]
        return {
            "count": len(array),
            "values": [values for values, _ in columns],
            "codes": [codes for _, codes in columns],
        }

    return written


def kept_keys(keys: Sequence[LabelValues], labels: int) -> Callable[[], State]:
    """The same for label sets of so many labels; nobody changes the sequence any more."""

    def written() -> State:
        array = np.empty((len(keys), labels), np.object_)
        if keys and labels:
            array[:] = keys
        return kept_labels([array])()

    return written


def read_labels(state: StateReader, labels: int) -> list[LabelValues]:
    """The label sets, of interned texts.

    Raises CheckpointError where they have not so many labels each.
    """
    count = state.integer("count")
    values, codes = state.values("values"), state.values("codes")
    if len(values) != labels or len(codes) != labels:
        raise state.error(f"label sets of {len(values)} labels, not {labels}")
    columns: list[list[str]] = []
    for label in range(labels):
        column = StateReader(state.what, {"values": values[label], "codes": codes[label]})
        numbers = column.array("codes", np.uint32, (count,))
        texts = np.array(_texts(column), np.object_)
        if len(numbers) and int(numbers.max()) >= len(texts):
            raise state.error("a label value is missing")
        columns.append(texts[numbers].tolist())
    return list(zip(*columns, strict=True)) if labels else [()] * count


def _coded(texts: list[str]) -> tuple[list[str | bytes], npt.NDArray[np.uint32]]:
    codes = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    numbers = np.fromiter(map(codes.__getitem__, texts), np.uint32, len(texts))
    values: list[str | bytes] = list(codes)
    try:
        "".join(codes).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which a processor of one's own may give
        values = [text.encode("utf-8", "surrogatepass") for text in codes]
    return values, numbers


def _texts(column: StateReader) -> list[str]:
    values = column.values("values")
    try:
        return [
            sys.intern(v if isinstance(v, str) else v.decode("utf-8", "surrogatepass"))
            for v in values
        ]
    except (AttributeError, TypeError, UnicodeDecodeError) as error:
        raise column.error(f"a label value is no text: {error}") from error
