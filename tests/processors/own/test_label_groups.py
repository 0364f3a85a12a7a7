"""Rows are grouped by what their labels say, whatever the codes are."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.errors import DeclarationError
from spanmill.processors.label_groups import label_groups
from spanmill.series.label_values import label_value
from spanmill.spans.batch import ABSENT, AttributeValue, Coded

VALUES: st.SearchStrategy[AttributeValue] = st.one_of(
    st.sampled_from(["a", "b", "", "x" * 2000]), st.integers(-2, 2), st.none(), st.booleans()
)


@st.composite
def coded(draw: st.DrawFn, rows: int) -> Coded[AttributeValue]:
    values = draw(st.lists(VALUES, max_size=6))
    codes = draw(st.lists(st.integers(ABSENT, len(values) - 1), min_size=rows, max_size=rows))
    return Coded(np.array(codes, np.int32), values)


@given(st.data(), st.integers(0, 30), st.integers(0, 4))
def test_groups_are_those_of_the_label_values(data: st.DataObject, rows: int, labels: int) -> None:
    columns = [
        data.draw(st.one_of(coded(rows), st.sampled_from(["fixed", ""]))) for _ in range(labels)
    ]
    mask = data.draw(st.none() | st.lists(st.booleans(), min_size=rows, max_size=rows))
    where = None if mask is None else np.array(mask, np.bool_)
    amounts = np.arange(1.0, rows + 1)

    chosen = [row for row in range(rows) if mask is None or mask[row]]
    texts = [
        tuple(c if isinstance(c, str) else label_value(c.value(row)) for c in columns)
        for row in chosen
    ]
    sums: Counter[tuple[str, ...]] = Counter()
    for text, row in zip(texts, chosen, strict=True):
        sums[text] += int(amounts[row])

    groups = label_groups(columns, rows, where)
    counted: Counter[tuple[str, ...]] = Counter()
    summed: Counter[tuple[str, ...]] = Counter()
    added = groups.sums(amounts[chosen]).tolist()
    for text, count, amount in zip(groups.labels, groups.counts.tolist(), added, strict=True):
        counted[text] += count
        summed[text] += int(amount)
    assert counted == Counter(texts)
    assert summed == sums
    positions = groups.spread(np.arange(len(groups.labels)))
    assert [groups.labels[i] for i in positions.tolist()] == texts


@pytest.mark.parametrize("columns", [2, 3, 7])
def test_many_combinations_are_told_apart(columns: int) -> None:
    rows = 2000
    each = Coded(np.arange(rows, dtype=np.int32), [f"v{i}" for i in range(rows)])
    groups = label_groups([each] * columns, rows, None)
    assert sorted(groups.labels) == sorted((f"v{i}",) * columns for i in range(rows))
    assert groups.counts.tolist() == [1] * rows


def test_a_column_of_another_batch_is_refused() -> None:
    column = Coded(np.zeros(3, np.int32), ["a"])
    with pytest.raises(DeclarationError, match="has 3 rows, the batch 5"):
        label_groups([column], 5, None)


def test_what_is_no_column_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"come from a coded column.*given list"):
        label_groups([["a", "b"]], 2, None)  # type: ignore[list-item]  # a list is the mistake


@pytest.mark.parametrize("where", [np.zeros(5, np.int64), np.zeros(4, np.bool_)])
def test_a_mask_that_is_none_is_refused(where: Any) -> None:
    with pytest.raises(DeclarationError, match="a bool for each of the 5 spans"):
        label_groups([], 5, where)
