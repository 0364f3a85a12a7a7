"""Label sets are found again by their values, however many come and go."""

from __future__ import annotations

import random
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spanmill.series.label_rows import NO_ROW, LabelRows

SHARED = ("SPAN_KIND_SERVER", "STATUS_CODE_UNSET")


def key(number: int) -> tuple[str, ...]:
    return (f"service {number % 7}", f"operation {number}", *SHARED)


def put_all(label_rows: LabelRows, numbers: range) -> None:
    for number in numbers:
        label_rows.put(number + 1, key(number))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=300))
@settings(deadline=None)
def test_it_behaves_as_a_dictionary(steps: list[tuple[bool, int]]) -> None:
    label_rows, expected = LabelRows(4), dict[tuple[str, ...], int]()
    free = list(range(1, 60))
    for keep, number in steps:
        wanted = key(number)
        if keep and wanted not in expected:
            expected[wanted] = free.pop(0)
            label_rows.put(expected[wanted], wanted)
        elif not keep and wanted in expected:
            row = expected.pop(wanted)
            label_rows.forget(np.array([row]))
            free.insert(0, row)
        for n in range(41):
            assert label_rows.find(key(n)) == expected.get(key(n), NO_ROW)
    rows = np.array(list(expected.values()), np.int64)
    assert label_rows.labels(rows) == list(expected)


def test_many_that_come_and_go_leave_the_tables_small() -> None:
    label_rows = LabelRows(4)
    for begin in range(0, 50_000, 500):
        put_all_at = range(begin, begin + 500)
        for row, number in enumerate(put_all_at, 1):
            label_rows.put(row, key(number))
        assert all(label_rows.find(key(n)) for n in put_all_at)
        label_rows.forget(np.arange(1, 501))
    assert not any(label_rows.find(key(n)) for n in range(0, 50_000, 50))
    assert label_rows.nbytes() < 1024 * (4 * 8 + 8) + 64 * 4 * 80


def test_rows_come_back_in_the_order_in_which_they_are_asked_for() -> None:
    label_rows = LabelRows(4)
    put_all(label_rows, range(5_000))
    asked = random.Random(7).choices(range(5_000), k=500)
    rows = np.array([n + 1 for n in asked])
    assert label_rows.labels(rows) == [key(n) for n in asked]
    assert label_rows.labels(rows[:0]) == []


def test_equal_values_are_one_string() -> None:
    label_rows = LabelRows(2)
    for row in range(1, 100):
        label_rows.put(row, ("".join(("ser", "vice")), f"operation {row}"))
    services = {id(service) for service, _ in label_rows.labels(np.arange(1, 100))}
    assert len(services) == 1


def test_texts_go_with_the_last_row_that_has_them() -> None:
    label_rows = LabelRows(1)
    text = "".join(("only", " here"))
    label_rows.put(1, (text,))
    references = sys.getrefcount(text)
    label_rows.forget(np.array([1]))
    assert sys.getrefcount(text) < references


def test_a_label_set_without_labels_has_a_row() -> None:
    label_rows = LabelRows(0)
    assert label_rows.find(()) == NO_ROW
    label_rows.put(3, ())
    assert label_rows.find(()) == 3
    assert label_rows.labels(np.array([3])) == [()]


def test_a_label_set_takes_at_most_eighty_bytes_beside_its_texts() -> None:
    label_rows, number = LabelRows(5), 100_000
    for row in range(1, number + 1):
        label_rows.put(row, (f"{row % 300}", f"{row // 300}", "c", "d", "e"))
    # The arrays of hashes double.
    assert label_rows.nbytes() / number < 5 * 8 + 2 * 8 + 16 + 8
