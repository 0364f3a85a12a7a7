"""Which row a group has by its identity: remembered, forgotten with the row, and bounded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.kernels import load_kernel
from spanmill.series.aliases import PER_LABEL_SET, Aliases
from spanmill.series.label_sets import OVERFLOW_ROW, LabelSets

_kernel = load_kernel("spanmill.series._aliases")
pytestmark = pytest.mark.skipif(_kernel is None, reason="the kernel is not built")

ROWS = 50
# Identities that meet in one part and search from one slot, and random ones.
CROWDED = np.array([[7, i] for i in range(1, 40)], np.uint64)
RANDOM = np.random.default_rng(3).integers(0, 2**64, (40, 2), np.uint64)
KNOWN = np.concatenate((CROWDED, RANDOM))


def aliases(limit: int = 1000) -> tuple[Aliases, LabelSets]:
    assert _kernel is not None, "the tests are skipped without it"
    label_sets = LabelSets(("name",), limit, 100)
    found = Aliases(_kernel, label_sets)
    label_sets.rows([(str(row),) for row in range(1, ROWS)], 0)
    return found, label_sets


def rows_of(found: Aliases, identities: npt.NDArray[np.uint64]) -> list[int]:
    rows, missing = found.find(identities)
    assert np.flatnonzero(rows < 0).tolist() == missing.tolist()
    return [int(row) for row in rows]


def put(found: Aliases, which: list[int], rows: list[int]) -> None:
    found.put(KNOWN, np.array(which, np.int64), np.array(rows, np.int64))


some = st.lists(st.integers(0, len(KNOWN) - 1), max_size=30)
some_rows = st.integers(0, ROWS - 1)
steps: st.SearchStrategy[tuple[str, list[int], list[int]]] = st.one_of(
    some.flatmap(
        lambda which: st.tuples(
            st.just("put"),
            st.just(which),
            st.lists(some_rows, min_size=len(which), max_size=len(which)),
        )
    ),
    st.tuples(st.just("left"), st.just([]), st.lists(some_rows, max_size=5)),
)


@given(st.lists(steps, max_size=20))
def test_it_is_a_dictionary_that_forgets_rows_and_never_knows_the_overflow(
    done: list[tuple[str, list[int], list[int]]],
) -> None:
    found, _ = aliases()
    expected: dict[int, int] = {}
    for kind, which, rows in done:
        if kind == "put":
            put(found, which, rows)
            expected.update({i: r for i, r in zip(which, rows, strict=True) if r != OVERFLOW_ROW})
        else:
            found.left(np.array(rows, np.int64))
            expected = {i: row for i, row in expected.items() if row not in rows}
        assert rows_of(found, KNOWN) == [expected.get(i, -1) for i in range(len(KNOWN))]


def test_a_row_that_was_given_up_any_number_of_times_is_still_forgotten() -> None:
    found, _ = aliases()
    put(found, [0], [5])
    for _ in range(300):
        found.left(np.array([5]))
        assert rows_of(found, KNOWN[:1]) == [-1]


def test_an_identity_that_differs_in_the_second_word_is_another() -> None:
    found, _ = aliases()
    put(found, [0], [5])
    other = KNOWN[:1] ^ np.array([[0, 1 << 63]], np.uint64)
    assert rows_of(found, np.concatenate((KNOWN[:1], other))) == [5, -1]


def test_there_are_never_more_than_their_bound_and_the_newest_are_known() -> None:
    limit = 5_000
    found, _ = aliases(limit)
    many = np.random.default_rng(4).integers(0, 2**64, (50_000, 2), np.uint64)
    for begin in range(0, len(many), 100):
        found.put(many, np.arange(begin, begin + 100), np.full(100, 9))
        assert rows_of(found, many[begin + 99 : begin + 100]) == [9]
    known = sum(row == 9 for row in rows_of(found, many))
    assert 0 < known <= PER_LABEL_SET * limit
    assert found.nbytes() <= 256 * limit + 20_000


def test_a_label_set_that_expires_takes_its_identities_along() -> None:
    found, label_sets = aliases()
    put(found, [1, 2, 3], [1, 1, 2])
    label_sets.touch(np.array([2]), 500, np.array([1]))
    label_sets.expire(550)
    assert rows_of(found, KNOWN[1:4]) == [-1, -1, 2]


def test_rows_that_come_later_have_identities_too() -> None:
    found, label_sets = aliases()
    (row,) = label_sets.rows([(f"more {i}",) for i in range(500)], 0)[-1:]
    put(found, [4], [int(row)])
    assert rows_of(found, KNOWN[4:5]) == [int(row)]


def test_a_row_that_is_not_there_is_never_known() -> None:
    found, _ = aliases()
    put(found, [0, 1], [10**6, -4])
    assert rows_of(found, KNOWN[:2]) == [-1, -1]
    with pytest.raises(IndexError):
        found.left(np.array([10**6]))


def test_arrays_of_other_shapes_are_refused() -> None:
    found, _ = aliases()
    with pytest.raises(ValueError, match="shapes"):
        found.put(KNOWN, np.arange(3), np.arange(2))
    with pytest.raises(IndexError):
        found.put(KNOWN, np.array([len(KNOWN)]), np.array([1]))
