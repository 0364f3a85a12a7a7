"""Frequent items with decay: never too high, hardly too low, bounded."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.series.busiest import Busiest


def add(sketch: Busiest, keys: list[str], count: int = 1) -> None:
    sketch.add([(key,) for key in keys], np.full(len(keys), count, np.int64))


def counts(sketch: Busiest) -> dict[str, float]:
    slots = sketch.slots()
    found = sketch.counts(slots).tolist()
    return {sketch.key(s)[0]: c for s, c in zip(slots.tolist(), found, strict=True)}


streams = st.lists(st.integers(0, 40).map(str), max_size=300)


@given(streams, st.integers(1, 8), st.integers(1, 50))
def test_a_count_is_never_too_high_and_too_low_by_at_most_the_error(
    stream: list[str], capacity: int, batch: int
) -> None:
    sketch = Busiest(capacity)
    for i in range(0, len(stream), batch):
        add(sketch, stream[i : i + batch])
    found, true = counts(sketch), Counter(stream)
    assert len(sketch) <= sketch.size
    assert sketch.error <= len(stream) / (capacity + 1)
    for key, count in true.items():
        assert count - sketch.error <= found.get(key, 0) <= count


@given(streams, st.integers(1, 50))
def test_while_there_are_slots_counts_are_exact_in_any_order(stream: list[str], batch: int) -> None:
    one, other = Busiest(21), Busiest(21)
    for part in (stream, stream[::-1]):
        add(one, part)
        one.decay(0.3)
    for part in (sorted(stream), stream):
        for i in range(0, len(part), batch):
            add(other, part[i : i + batch])
        other.decay(0.3)
    assert counts(one) == counts(other)


def test_a_busy_key_outlives_a_flood_of_keys_that_come_once() -> None:
    sketch = Busiest(10)
    for i in range(2_000):
        add(sketch, ["busy", *(f"{i}-{j}" for j in range(5))])
    assert counts(sketch)["busy"] >= 2_000 - 12_000 / 11
    assert max(count for key, count in counts(sketch).items() if key != "busy") <= 1


def test_new_keys_are_told_with_their_slots_and_positions() -> None:
    sketch = Busiest(3)
    add(sketch, ["a"])
    keys = [("a",), ("b",), ("a",), ("c",), ("d",)]
    added = sketch.add(keys, np.ones(5, np.int64))
    new = [part.begin + int(i) for part in added for i in part.new]
    assert [keys[i] for i in new] == [("b",), ("c",), ("d",)]
    (*_, last) = added
    assert [sketch.key(int(slot)) for slot in last.slots] == keys[last.begin :]


def test_decay_tells_who_came_and_forgets_what_has_faded() -> None:
    sketch = Busiest(4)
    add(sketch, ["once", "often"], 1)
    add(sketch, ["often"], 15)
    sketch.decay(0.5)
    add(sketch, ["often"])
    assert [sketch.key(slot) for slot in sketch.decay(1 / 8).tolist()] == [("often",)]
    assert counts(sketch) == {"often": 3.0}


def test_the_error_fades_as_the_counts_do() -> None:
    sketch = Busiest(1)
    for key in "abc":
        add(sketch, [key], 8)
    assert sketch.error == 8.0
    sketch.decay(0.25)
    assert sketch.error == 2.0


def test_what_is_put_back_counts_but_did_not_come() -> None:
    sketch = Busiest(4)
    sketch.put([("a",)], np.array([7.5]))
    assert counts(sketch) == {"a": 7.5}
    assert not len(sketch.decay(1.0))


def test_what_is_discarded_leaves_nothing() -> None:
    sketch = Busiest(4)
    add(sketch, ["a"], 3)
    assert sketch.discard(("a",)) == 3.0
    assert sketch.discard(("a",)) == 0.0
    add(sketch, ["b"])
    assert counts(sketch) == {"b": 1.0}


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_batch_larger_than_the_sketch_is_taken_in_parts(size: int) -> None:
    sketch = Busiest(size)
    add(sketch, [str(i) for i in range(1000)])
    assert len(sketch) <= 2 * size


@given(streams, streams, streams, st.integers(1, 8))
def test_a_merge_keeps_the_bound_of_both_streams_together(
    one: list[str], other: list[str], third: list[str], capacity: int
) -> None:
    merged = sketch_of(capacity, one)
    merged.merge(sketch_of(capacity, other))
    merged.merge(sketch_of(capacity, third))
    found, true = counts(merged), Counter([*one, *other, *third])
    assert len(merged) <= merged.size
    assert merged.error <= true.total() / (capacity + 1)
    for key, count in true.items():
        assert count - merged.error <= found.get(key, 0) <= count


@given(streams, streams, streams)
def test_merging_is_associative_and_commutative_while_there_are_slots(
    one: list[str], other: list[str], third: list[str]
) -> None:
    left = sketch_of(21, one)
    left.merge(sketch_of(21, other))
    left.merge(sketch_of(21, third))
    right = sketch_of(21, third)
    right.merge(sketch_of(21, other))
    right_first = sketch_of(21, one)
    right_first.merge(right)
    assert counts(left) == counts(right_first) == counts(sketch_of(21, [*third, *one, *other]))


def sketch_of(capacity: int, stream: list[str]) -> Busiest:
    sketch = Busiest(capacity)
    add(sketch, stream)
    return sketch
