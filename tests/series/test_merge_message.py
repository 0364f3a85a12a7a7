"""Merge messages: what is counted in parts and merged is what is counted in one place."""

from __future__ import annotations

from itertools import permutations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanmill.errors import MergeError
from spanmill.series.counter import CounterColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.merge_encoding import decode, encode
from spanmill.series.merge_message import MergeMessage
from spanmill.series.merge_registry import merge_into, message_of
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Family, Histograms, Values

BOUNDS_NS = ((2_000_000, 8_000_000), (4_000_000,))
SECOND_NS = 10**9

Observation = tuple[str, int, int]
"""The service, the duration in nanoseconds, and the arrival in seconds."""

observations = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 2**40), st.integers(1, 9)), max_size=12
)
parts = st.tuples(observations, observations, observations)


class StandingClock:
    def time_ns(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0


class Place:
    """A registry with one processor's series."""

    def __init__(self, bounds_ns: tuple[tuple[int, ...], ...] = BOUNDS_NS, limit: int = 10) -> None:
        self.registry = Registry(StandingClock())
        self.label_sets = self.registry.label_sets(("service",), limit, 10**12, "p")
        self.calls = CounterColumn(self.label_sets)
        self.durations = HistogramColumn(self.label_sets, bounds_ns, native=True)
        calls = Family("calls_total", "counter", "")
        self.registry.expose_values(calls, self.label_sets, self.calls)
        for layout in range(len(bounds_ns)):
            family = Family(f"seconds_{layout}", "histogram", "")
            self.registry.expose_histogram(
                family, self.label_sets, self.durations, layout=layout, native=layout == 0
            )

    def observe(self, found: list[Observation]) -> Place:
        """In the order of arrival; weights of quarters, whose sums are exact."""
        for service, duration, arrival in sorted(found, key=lambda one: one[2]):
            rows = self.label_sets.rows([(service,)], arrival * SECOND_NS, np.ones(1, np.int64))
            weights = np.array([1 + duration % 4 / 4])
            self.calls.add(rows, weights)
            self.durations.observe(rows, np.array([duration], np.uint64), weights)
        return self

    def message(self, first: int = 0, last: int = 0) -> MergeMessage:
        return message_of(self.registry, {"0": ((first, last),)})

    def shown(self) -> object:
        found = []
        for family in self.registry.snapshot():
            data = family.data
            order = np.argsort([str(labels) for labels in family.labels])
            shown: list[object] = [family.family.name, sorted(map(str, family.labels))]
            shown.append(family.created[order].tolist())
            if isinstance(data, Values):
                shown.append(data.values[order].tolist())
            elif isinstance(data, Histograms):
                shown += [data.bucket_counts[order].tolist(), data.sums[order].tolist()]
                if data.native is not None:
                    natives = [data.native[i] for i in order.tolist()]
                    shown += [(n.schema, n.zero_count, n.first, n.counts.tolist()) for n in natives]
            found.append(shown)
        return found


def messages_of(split: tuple[list[Observation], ...]) -> list[MergeMessage]:
    return [Place().observe(part).message(10 * i, 10 * i + 9) for i, part in enumerate(split)]


@given(observations)
@settings(max_examples=25)
def test_decoding_gives_the_message_that_was_encoded(found: list[Observation]) -> None:
    message = Place().observe(found).message(3, 7)
    written = encode(message)
    read = decode(written)
    assert encode(read) == written
    assert read.records == {"0": ((3, 7),)}
    assert read.groups["p"].labels == tuple(sorted({(service,) for service, _, _ in found}))


@given(parts)
@settings(max_examples=25)
def test_messages_merge_in_any_order_and_grouping(split: tuple[list[Observation], ...]) -> None:
    results = set()
    for a, b, c in permutations(messages_of(split)):
        results.add(encode(a.merged(b).merged(c)))
        results.add(encode(a.merged(b.merged(c))))
    assert len(results) == 1


@given(parts)
@settings(max_examples=25)
def test_a_message_without_content_changes_nothing(split: tuple[list[Observation], ...]) -> None:
    message = messages_of(split)[0]
    nothing = MergeMessage(message.spanmill, {}, {})
    assert encode(message.merged(nothing)) == encode(nothing.merged(message)) == encode(message)


@given(parts)
@settings(max_examples=25)
def test_parts_that_are_merged_are_the_whole(split: tuple[list[Observation], ...]) -> None:
    whole = Place().observe([one for part in split for one in part])
    place = Place()
    for message in messages_of(split):
        merge_into(place.registry, decode(encode(message)))
    assert place.shown() == whole.shown()
    a, b, c = messages_of(split)
    merged = a.merged(b).merged(c)
    expected = whole.message(0, 29)
    assert encode(merged) == encode(expected)


def test_what_finds_no_room_is_added_to_the_overflow_series() -> None:
    found = [(service, 10**6, 1) for service in "abcde"]
    place = Place(limit=3).observe(found[:3])
    merge_into(place.registry, Place().observe(found).message())
    assert len(place.label_sets) == 3
    merged = place.message().groups["p"]
    assert merged.labels == (None, ("a",), ("b",), ("c",))
    assert merged.counters["calls_total"].tolist() == [2, 2, 2, 2]
    # The overflow series of one goes to that of the other.
    other = Place()
    merge_into(other.registry, place.message())
    assert encode(other.message()) == encode(place.message())


def test_stamps_are_the_earliest_and_the_latest() -> None:
    place = Place().observe([("a", 1, 5), ("a", 1, 6)])
    merge_into(place.registry, Place().observe([("a", 1, 2), ("a", 1, 3)]).message())
    stamps = place.message().groups["p"].stamps
    assert stamps.created_ns.tolist() == [2 * SECOND_NS]
    assert stamps.last_used_ns.tolist() == [6 * SECOND_NS]
    assert stamps.spans.tolist() == [4]


def test_a_record_is_not_counted_twice() -> None:
    place = Place()
    with pytest.raises(MergeError, match="records 5 to 9 of partition 0 would be counted twice"):
        place.message(0, 5).merged(place.message(5, 9))
    neighbours = place.message(0, 4).merged(place.message(5, 9))
    assert neighbours.records == {"0": ((0, 9),)}
    apart = place.message(0, 3).merged(place.message(5, 9))
    assert apart.records == {"0": ((0, 3), (5, 9))}


def test_other_buckets_are_refused_and_change_nothing() -> None:
    place = Place().observe([("a", 1, 1)])
    before = encode(place.message())
    other = Place(((1, 2), (4_000_000,))).observe([("b", 1, 1)]).message(1, 1)
    with pytest.raises(MergeError, match="other buckets of seconds_0"):
        merge_into(place.registry, other)
    with pytest.raises(MergeError, match="other buckets of seconds_0"):
        place.message().merged(other)
    assert encode(place.message()) == before


def test_a_group_that_does_not_run_here_is_refused() -> None:
    with pytest.raises(MergeError, match="p has counted can't be merged: it does not run here"):
        merge_into(Registry(StandingClock()), Place().message())


def test_another_format_is_refused_with_the_version_that_wrote_it() -> None:
    written = msgspec.msgpack.decode(encode(Place().message()))
    written |= {"format": 2, "spanmill": "9.9", "groups": "in a way not known yet"}
    with pytest.raises(MergeError, match=r"spanmill 9\.9 wrote a merge message of format 2"):
        decode(msgspec.msgpack.encode(written))


@given(observations, st.data())
@settings(max_examples=50)
def test_damaged_bytes_are_refused_or_read_but_never_crash(
    found: list[Observation], data: st.DataObject
) -> None:
    body = bytearray(encode(Place().observe(found).message()))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        message = decode(bytes(body))
    except MergeError:
        return
    place = Place()
    before = encode(place.message())
    try:
        merge_into(place.registry, message)
    except MergeError:
        assert encode(place.message()) == before


def test_a_prefix_is_no_message() -> None:
    body = encode(Place().observe([("a", 1, 1)]).message())
    for length in range(len(body)):
        with pytest.raises(MergeError):
            decode(body[:length])
