"""A service graph after a restart is that of a process that went on."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from processors.kept_snapshots import kept_states, restore_all
from processors.kept_snapshots import shown as all_shown
from processors.service_graph.observed import SECOND, START, Observed, request, span
from spanmill.errors import CheckpointError
from spanmill.journal.state import State, decode_state, encode_state
from spanmill.kernels import SWITCH, load_kernel
from spanmill.series.registry import Registry

KERNELS = ("_columns", "_pairing")
BUILT = all(load_kernel(f"spanmill.processors.service_graph.{name}") for name in KERNELS)
WAYS = ("kernel", "reference") if BUILT else ("reference",)
OVER = pytest.mark.parametrize(("written", "read"), list(itertools.product(WAYS, WAYS)))
HOUR = 3600

ATTRIBUTES = st.sampled_from(
    [{}, {}, {"peer.service": "bank"}, {"db.system": "redis"}, {"messaging.system": "kafka"}]
)
IDS = st.tuples(st.integers(1, 2), st.integers(1, 9))
SPANS = st.builds(
    span,
    number=st.integers(1, 9),
    kind=st.integers(1, 5),
    trace=st.integers(1, 2),
    parent=st.integers(0, 9),
    failed=st.booleans(),
    duration=st.sampled_from([0, 1, 5_000_000, 2**61]),
    links=st.lists(IDS, max_size=3),
    attributes=ATTRIBUTES,
)
SENT = st.lists(st.tuples(st.sampled_from(["shop", "cart", "mail"]), SPANS), max_size=10)
MOVES = st.sampled_from([0, 0, 1, 10, 29, 30, 31, -1, -5, -HOUR, HOUR])
STEPS = st.lists(st.tuples(MOVES, SENT | st.none()), max_size=6)
LIMITS = st.sampled_from([1, 2, 5, 100_000])
Steps = list[tuple[int, list[tuple[str, Span]] | None]]


def graph(way: str, **asked: Any) -> Observed:
    with pytest.MonkeyPatch.context() as patch:
        if way == "reference":
            patch.setenv(SWITCH, "off")
        return Observed(**asked)


def follow(observed: Observed, at: int, steps: Steps) -> int:
    for seconds, sent in steps:
        at += seconds
        now = START + at * SECOND
        observed.registry.applying(now)
        if sent is None:
            observed.registry.expire(now)
            observed.processor.tick(now)
            continue
        batch = observed.decode(request(sent))
        weight = (1.1 + np.arange(len(batch)) * 0.1).astype(np.float64)
        observed.processor.observe(dataclasses.replace(batch, weight=weight).arrived(now))
    return at


def shown(registry: Registry) -> dict[str, list[Any]]:
    """The families of the graph."""
    families = all_shown(registry)
    return {name: family for name, family in families.items() if "service_graph" in name}


@OVER
@settings(max_examples=80)
@given(before=STEPS, after=STEPS, limit=LIMITS)
def test_a_restart_changes_nothing(
    written: str, read: str, before: Steps, after: Steps, limit: int
) -> None:
    old, new = graph(written, max_pending=limit), graph(read, max_pending=limit)
    at = follow(old, 0, before)
    restore_all(new.registry, kept_states(old.registry))
    assert shown(new.registry) == shown(old.registry)
    assert follow(old, at, after) == follow(new, at, after)
    for observed in (old, new):
        follow(observed, at, [(31, None), (31, None)])
    assert shown(new.registry) == shown(old.registry)
    assert new.processor._joining.keys == old.processor._joining.keys


@OVER
def test_the_recorded_shop_goes_on(
    written: str, read: str, astronomy_requests: list[bytes]
) -> None:
    old, new = graph(written), graph(read)
    half = len(astronomy_requests) // 2
    batches = [old.decode(body) for body in astronomy_requests]
    for i, batch in enumerate(batches[:half]):
        old.processor.observe(batch.arrived(START + i * SECOND // 20))
    restore_all(new.registry, kept_states(old.registry))
    assert new.processor._joining.remembered > 10_000
    for i, batch in enumerate(batches[half:], half):
        for observed in (old, new):
            # Half of them come a second time.
            observed.processor.observe(batch.arrived(START + i * SECOND // 20))
            observed.processor.observe(batches[i - half].arrived(START + i * SECOND // 20))
    for observed in (old, new):
        observed.processor.tick(START + 1000 * SECOND)
    assert shown(new.registry) == shown(old.registry)
    assert sum(new.requests().values()) > 27_000


def test_a_span_that_was_counted_before_the_restart_is_not_counted_again() -> None:
    for written, read in itertools.product(WAYS, WAYS):
        old, new = graph(written), graph(read)
        sides = (("shop", span(1, 3)), ("cart", span(2, 2, parent=1)))
        old.observe(*sides, ("mail", span(3, 2, parent=77)))
        restore_all(new.registry, kept_states(old.registry))
        new.observe(*sides, at=29)
        new.observe(("shop", span(77, 4)), at=29)
        assert new.requests() == {("shop", "cart", ""): 1, ("shop", "mail", "messaging_system"): 1}


def remembered(observed: Observed) -> dict[str, Any]:
    """What is kept, with names instead of their codes."""
    state = decode_state(encode_state(observed.processor.state()))
    names = [*state["names"], None]
    spans, ends = state["remembered"]["spans"], state["remembered"]["ends"]
    found: dict[str, Any] = {"elapsed": state["elapsed"], "unpaired": state["unpaired"]}
    for what, sides in (("spans", spans), ("ends", ends)):
        columns = {name: column.tolist() for name, column in sides.items()}
        columns["service"] = [names[code] for code in columns["service"]]
        if what == "spans":
            columns["other"] = [names[code] for code in columns["other"]]
        found[what] = columns
    return found


@pytest.mark.skipif(not BUILT, reason="the kernels of the service graph are not built")
@settings(max_examples=150)
@given(STEPS, LIMITS)
def test_the_state_is_the_same_whatever_the_seed_and_whoever_paired(
    steps: Steps, limit: int
) -> None:
    both = [graph(way, max_pending=limit) for way in ("kernel", "kernel", "reference")]
    for observed in both:
        follow(observed, 0, steps)
    found = [remembered(observed) for observed in both]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("way", WAYS)
def test_a_state_is_a_copy(way: str) -> None:
    observed = graph(way).observe(("shop", span(1, 3)), ("cart", span(2, 2, parent=9)))
    state = observed.processor.state()
    written = encode_state(state)
    observed.observe(("cart", span(3, 2, parent=1)), ("shop", span(9, 3)), at=1).tick(100)
    assert encode_state(state) == written


@OVER
def test_other_settings_take_over_what_waits(written: str, read: str) -> None:
    old = graph(written)
    old.observe(*(("shop", span(number, 3)) for number in range(1, 9)))
    new = graph(read, wait_ns=10 * SECOND, max_pending=3, peer_attributes=("peer.service",))
    restore_all(new.registry, kept_states(old.registry))
    new.observe(("cart", span(20, 2, parent=8)), at=5)
    assert new.requests() == {("shop", "cart", ""): 1}
    assert new.unpaired() == {"evicted": 6}


def filled(way: str) -> Observed:
    observed = graph(way)
    observed.observe(("shop", span(1, 3)), ("cart", span(2, 2, parent=1)), at=0)
    observed.observe(("shop", span(5, 4, attributes={"peer.service": "bank"})), at=1)
    return observed.observe(
        ("mail", span(3, 5, parent=9)), ("mail", span(4, 2, parent=9)), ("mail", span(6, 2)), at=2
    )


def kept(way: str) -> State:
    return decode_state(encode_state(filled(way).processor.state()))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(value, dict):
        return []
    return [place for key in value for place in ((*path, key), *places(value[key], (*path, key)))]


NUMBERS = st.sampled_from([-(2**63), -2, -1, 0, 1, 2, 3, 64, 255, 2**31 - 1, 2**63 - 1])
PLACES = places(kept(WAYS[0]))


def damaged(state: State, place: tuple[Any, ...], data: st.DataObject) -> State:
    """One value of a column is another one, or the whole of it is something else."""
    inner = state
    for key in place[:-1]:
        inner = inner[key]
    column = inner[place[-1]]
    if isinstance(column, np.ndarray) and len(column) and data.draw(st.booleans()):
        column = column.copy()
        number = data.draw(NUMBERS)
        at = data.draw(st.integers(0, len(column) - 1))
        column.view(f"i{column.itemsize}")[at] = np.int64(number).astype(f"i{column.itemsize}")
        inner[place[-1]] = column
        return state
    inner[place[-1]] = data.draw(
        st.sampled_from(
            [
                *(None, -1, 2**40, "x", True, 1.5, [], ["a", "a"], [1], {}, {"evicted": -1}),
                *(np.zeros(0, np.int64), np.zeros((2, 3), np.int32), np.array([np.nan])),
            ]
        )
    )
    return state


@settings(max_examples=600)
@given(st.sampled_from(PLACES), st.data(), st.sampled_from(WAYS))
def test_a_damaged_state_changes_nothing(
    place: tuple[Any, ...], data: st.DataObject, way: str
) -> None:
    observed = graph(way)
    before = encode_state(observed.processor.state())
    try:
        observed.processor.restore(damaged(kept(way), place, data))
    except CheckpointError:
        assert encode_state(observed.processor.state()) == before
    # Whatever was taken over does no harm.
    sent = [("cart", span(i, 2, parent=9)) for i in range(30, 40)]
    observed.observe(*sent, ("shop", span(9, 3)), at=3).tick(100)
    assert observed.processor._joining.keys == (0, 0) or place[0] == "elapsed"
    shown(observed.registry)


@pytest.mark.parametrize("way", WAYS)
def test_sides_wait_no_longer_when_the_clock_was_set_back_by_an_hour(way: str) -> None:
    observed = graph(way).observe(("shop", span(1, 3, attributes={"peer.service": "bank"})), at=0)
    observed.observe(("cart", span(2, 2, parent=50)), at=-HOUR)
    observed.tick(29 - HOUR)
    assert observed.requests() == {}
    observed.tick(30 - HOUR)
    assert observed.requests() == {("shop", "bank", "virtual_node"): 1}
    assert observed.unpaired() == {"no_client": 1}


@pytest.mark.parametrize("way", WAYS)
def test_sides_meet_over_a_clock_that_was_set_back(way: str) -> None:
    observed = graph(way).observe(("shop", span(1, 3)), ("cart", span(3, 2, parent=9)), at=0)
    observed.tick(-HOUR).observe(("cart", span(2, 2, parent=1)), ("shop", span(9, 3)), at=9 - HOUR)
    assert observed.requests() == {("shop", "cart", ""): 2}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", [HOUR, -HOUR])
def test_a_clock_that_steps_by_an_hour_and_back_stops_nothing(way: str, first: int) -> None:
    observed = graph(way)
    at, number = 0, 1
    for moved in (0, first, -first, 1):
        at += moved
        for _ in range(40):
            at += 1
            number += 2
            observed.observe(("shop", span(number, 3)), at=at)
            observed.observe(("cart", span(number + 1, 2, parent=number)), at=at)
            observed.tick(at)
            assert observed.processor._joining.remembered <= 2 * 31
    assert observed.requests() == {("shop", "cart", ""): 160}
    assert not observed.unpaired()


@pytest.mark.parametrize("way", WAYS)
def test_no_clock_whatever_it_says_does_harm(way: str) -> None:
    observed = graph(way)
    for number, at in enumerate([0, 2**62, 1, 2**63 - 1, -(2**40), 2**63 - 1, START] * 5, 1):
        observed.processor.observe(observed.decode_one("shop", span(number, 3)).arrived(at))
        observed.processor.tick(at)
    assert observed.processor._joining.remembered <= 35
    restore_all(graph(way).registry, kept_states(observed.registry))
