"""The foremost are those that sorting would find."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.series.foremost import foremost, kth_largest, ranks_of

amounts = st.one_of(st.sampled_from([0.0, 1.0, 2.5]), st.floats(0, allow_nan=False))
numbers = st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1))


@given(st.lists(amounts, max_size=60), st.integers(0, 70), st.integers(1, 70))
def test_they_are_found_in_order(found: list[float], most: int, distinct: int) -> None:
    hashes = np.array([(i * 7919) % distinct for i in range(len(found))], np.uint64)
    ranks = ranks_of(np.array(found) + 0.0)
    best = sorted(range(len(found)), key=lambda i: (-found[i], int(hashes[i]), i))
    assert foremost(ranks, lambda i: hashes[i], most).tolist() == best[:most]
    least = sorted(range(len(found)), key=lambda i: (found[i], int(hashes[i]), i))
    assert foremost(~ranks, lambda i: hashes[i], most).tolist() == least[:most]


@given(st.lists(numbers, min_size=1, max_size=60), st.data())
def test_the_kth_largest_is_at_its_place_of_the_sorted_ones(
    found: list[int], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(found)))
    assert int(kth_largest(np.array(found, np.uint64), k)) == sorted(found)[-k]


@pytest.mark.parametrize("distinct", [1, 2, 300, 2**64])
@pytest.mark.parametrize("k", [1, 100, 15_000, 30_000])
def test_the_kth_largest_of_many_is_found_whatever_they_are(distinct: int, k: int) -> None:
    random = np.random.default_rng(3)
    ranks = random.integers(0, 2**64, 30_000, dtype=np.uint64) % np.uint64(min(distinct, 2**64 - 1))
    ranks[::15] = 0  # what a sample sees is not always what there is
    assert kth_largest(ranks, k) == np.sort(ranks)[-k]
