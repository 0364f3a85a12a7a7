"""Ranges against sets of positions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.journal.cursor_ranges import Ranges

steps = st.lists(
    st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 40), st.integers(0, 12))
)


@given(steps)
def test_they_hold_what_was_added_and_not_removed_in_as_few_ranges_as_can_be(
    steps: list[tuple[str, int, int]],
) -> None:
    ranges, model, end = Ranges(), set[int](), 0
    for step, wanted, length in steps:
        begin = max(wanted, end) if step == "add" else wanted
        if step == "add":
            end = begin + length
            ranges.add(begin, end)
            model |= set(range(begin, end))
        else:
            ranges.remove(begin, begin + length)
            model -= set(range(begin, begin + length))
    assert {n for low, high in ranges for n in range(low, high)} == model
    assert len(ranges) == sum(1 for n in model if n - 1 not in model)
    assert ranges.lowest == min(model, default=None)


def test_what_is_not_behind_the_others_is_refused() -> None:
    with pytest.raises(ValueError, match="2 is not behind 3"):
        Ranges([(0, 3), (2, 4)])
