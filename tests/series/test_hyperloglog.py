"""Estimates of distinct counts: their error, their merge, their window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.series.hyperloglog import DistinctWindow, Registers, error_ratio, estimate, observe
from spanmill.series.label_hashes import LabelHasher

PRECISION = 10

hashes = st.lists(st.integers(0, 2**64 - 1), max_size=200).map(lambda x: np.array(x, np.uint64))


def sketch(*parts: np.ndarray) -> Registers:
    registers = np.zeros((1, 1 << PRECISION), np.uint8)
    for part in parts:
        observe(registers, part.reshape(-1, 1))
    return registers


def distinct(count: int, prefix: str = "") -> np.ndarray:
    return LabelHasher(1).hashes([(f"{prefix}{i}",) for i in range(count)])[:, 0]


@pytest.mark.parametrize("count", [1, 10, 300, 1_000, 2_500, 5_000, 100_000])
def test_an_estimate_is_within_four_standard_errors(count: int) -> None:
    found = estimate(sketch(distinct(count))[0])
    assert abs(found - count) <= max(1, 4 * error_ratio(PRECISION) * count)


def test_the_error_that_is_shown_is_the_one_that_is_met() -> None:
    random = np.random.default_rng(7)
    errors = [
        estimate(sketch(random.integers(0, 2**64, 20_000, np.uint64))[0]) / 20_000 - 1
        for _ in range(200)
    ]
    assert float(np.std(errors)) == pytest.approx(error_ratio(PRECISION), rel=0.2)
    assert abs(float(np.mean(errors))) < error_ratio(PRECISION) / 4


def test_nothing_is_estimated_as_nothing() -> None:
    assert estimate(sketch()[0]) == 0


@given(hashes)
def test_repetition_changes_nothing(part: np.ndarray) -> None:
    assert np.array_equal(sketch(part), sketch(part, part[::-1]))


@given(hashes, hashes, hashes)
def test_merging_is_associative_and_commutative_and_the_same_as_seeing_all(
    a: np.ndarray, b: np.ndarray, c: np.ndarray
) -> None:
    x, y, z = sketch(a), sketch(b), sketch(c)
    whole = sketch(np.concatenate([a, b, c]))
    assert np.array_equal(np.maximum(np.maximum(x, y), z), whole)
    assert np.array_equal(np.maximum(x, np.maximum(z, y)), whole)


@pytest.mark.parametrize("value", [0, 2**64 - 1, 1 << 63, 1 << PRECISION])
def test_the_hashes_at_the_edges_find_a_register(value: int) -> None:
    registers = sketch(np.array([value], np.uint64))
    assert np.count_nonzero(registers) == 1
    assert 1 <= registers.max() <= 64 - PRECISION + 1


def test_a_window_forgets_what_left_it() -> None:
    window = DistinctWindow(PRECISION, 1, slots=3)
    for part in ("a", "b", "c", "d"):
        window.observe(distinct(100, part).reshape(-1, 1))
        window.advance(1)
    left = window.union()
    assert np.array_equal(left, sketch(distinct(100, "c"), distinct(100, "d")))
    window.advance(1_000_000)
    assert estimate(window.union()[0]) == 0


@given(st.lists(st.tuples(hashes, hashes), max_size=5))
def test_windows_that_merge_have_seen_what_one_would_have(
    slots: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    one, other, both = (DistinctWindow(PRECISION, 1, slots=3) for _ in range(3))
    other.advance(2)  # the clock is the same, the place in the ring isn't
    for a, b in slots:
        one.observe(a.reshape(-1, 1))
        other.observe(b.reshape(-1, 1))
        both.observe(np.concatenate([a, b]).reshape(-1, 1))
        for window in (one, other, both):
            window.advance(1)
    one.merge(other)
    assert np.array_equal(one.union(), both.union())
    for window in (one, both):
        window.advance(1)
    assert np.array_equal(one.union(), both.union())


def test_hashes_of_label_sets_are_the_same_in_every_process() -> None:
    (row,) = LabelHasher(2).hashes([("shop", "GET /")]).tolist()
    assert row == LabelHasher(2).hashes([("x", "y"), ("shop", "GET /")])[1].tolist()
    assert row[1] == 0xA3308746F7094BEA
    assert row[0] == 0xC5FD00C9546DB33A


def test_values_at_other_places_make_another_label_set() -> None:
    keys = [("a", "b"), ("b", "a"), ("ab", ""), ("", "ab"), ("a\xffb", ""), ("\ud800", "b")]
    found = LabelHasher(2).hashes(keys)[:, 0]
    assert len(set(found.tolist())) == len(keys)


def test_a_flood_of_values_is_hashed_alike_before_and_after_it_is_forgotten() -> None:
    hasher = LabelHasher(1)
    first = hasher.hashes([("x",)]).tolist()
    hasher.hashes([(str(i),) for i in range(10_000)])
    assert hasher.hashes([("x",)]).tolist() == first
