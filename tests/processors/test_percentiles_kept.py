"""Percentiles after a restart are those of a process that went on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.kept_snapshots import kept_states, restore_all
from processors.kept_snapshots import shown as all_shown
from spanmill.errors import CheckpointError
from spanmill.journal.state import State, decode_state, encode_state
from spanmill.kernels import SWITCH, load_kernel
from spanmill.processors.percentiles import Percentiles, PercentilesSettings
from spanmill.series.registry import Registry
from spanmill.series.window import SLOT_NS
from spanmill.spans.batch import SpanBatch
from spanmill.spans.installed import load_decoder
from spanmill.telemetry import Telemetry
from spanmill.testing import ManualClock, Span, batch_of

SECOND = 10**9
HOUR = 3600 * SECOND
NOW = 10**18
BUILT = load_kernel("spanmill.series._window") is not None
WAYS = ("kernel", "reference") if BUILT else ("reference",)
OVER = pytest.mark.parametrize(("written", "read"), list(itertools.product(WAYS, WAYS)))

Step = tuple[int, list[Span] | None]
"""How far the clock moves, and the spans that arrive then; None for a tick."""


FAMILIES = (
    "spanmill_latency_seconds",
    "spanmill_percentiles_window_seconds",
    "spanmill_percentiles_left_out_spans_total",
    "spanmill_window_late_spans_total",
    "spanmill_window_late_services",
)


def shown(registry: Registry) -> dict[str, list[Any]]:
    families = all_shown(registry)
    return {name: families[name] for name in FAMILIES if name in families}


class Unchanged:
    def labels(self, values: Sequence[str]) -> list[str]:
        return list(values)


class Process:
    """Percentiles with a registry of their own, by the kernel or by the reference."""

    def __init__(
        self, way: str, window_seconds: int = 60, max_series: int = 2, seed: int = 1
    ) -> None:
        self.registry = Registry(ManualClock(NOW))
        asked = PercentilesSettings(window_seconds * SECOND, max_series)
        with pytest.MonkeyPatch.context() as patch:
            if way == "reference":
                patch.setenv(SWITCH, "off")
            telemetry = Telemetry(self.registry)
            self.processor = Percentiles(asked, self.registry, telemetry, Unchanged(), seed)

    def take(self, at: int, sent: Sequence[Span] | SpanBatch | None) -> None:
        self.registry.applying(at)
        if sent is None:
            self.processor.tick(at)
        elif isinstance(sent, SpanBatch):
            self.processor.observe(sent.arrived(at))
        else:
            self.processor.observe(batch_of(sent, arrival_ns=at))

    def follow(self, at: int, steps: Sequence[Step]) -> int:
        for moved, sent in steps:
            at += moved
            self.take(at, sent)
        return at


spans = st.builds(
    Span,
    name=st.sampled_from("abcdef"),
    service=st.sampled_from(["shop", "cart"]),
    kind=st.integers(1, 2),
    start=st.integers(NOW - 90 * SECOND, NOW + 90 * SECOND) | st.sampled_from([0, 2**63]),
    duration=st.integers(0, 10**10) | st.sampled_from([0, 2**62]),
    weight=st.floats(0, 1000) | st.sampled_from([1.0, 1 / 3, 2.0**30]),
)
moves = st.sampled_from([0, 0, 1, 3, 10, 10, 25, 61, 400, -1, -5, -70, -3600, 3600])
steps = st.lists(
    st.tuples(moves.map(lambda s: s * SECOND), st.none() | st.lists(spans, max_size=8)), max_size=8
)


@OVER
@settings(max_examples=60)
@given(
    before=steps,
    after=steps,
    asked=st.tuples(st.sampled_from([10, 60, 7200]), st.integers(1, 4)),
)
def test_a_restart_changes_nothing(
    written: str, read: str, before: list[Step], after: list[Step], asked: tuple[int, int]
) -> None:
    old, new = Process(written, *asked), Process(read, *asked, seed=2)
    at = old.follow(NOW, before)
    states = kept_states(old.registry)
    restore_all(new.registry, states)
    assert shown(new.registry) == shown(old.registry)
    assert old.follow(at, after) == new.follow(at, after)
    assert shown(new.registry) == shown(old.registry)
    assert kept_states(new.registry) == kept_states(old.registry)


@OVER
def test_the_recorded_shop_goes_on(
    written: str, read: str, astronomy_requests: list[bytes]
) -> None:
    decoder = load_decoder(())
    batches = [decoder.decode(body).batch for body in astronomy_requests]
    ends = [int(np.median(batch.end)) for batch in batches]
    at = [max(ends[: i + 1]) + i * SECOND // 10 for i in range(len(batches))]
    old, new = Process(written, 300, 50), Process(read, 300, 50)
    half = len(batches) // 2
    for batch, time in zip(batches[:half], at[:half], strict=True):
        old.take(time, batch)
    restore_all(new.registry, kept_states(old.registry))
    for batch, time in zip(batches[half:], at[half:], strict=True):
        for process in (old, new):
            process.take(time, batch)
            process.take(time, None)
    found = shown(new.registry)
    assert found == shown(old.registry)
    assert len(found["spanmill_latency_seconds"][0]["labels"]) >= 40


@pytest.mark.skipif(not BUILT, reason="spanmill.series._window is not built")
@given(steps, st.integers(0, 2**64 - 1))
def test_the_state_is_the_same_whatever_the_seed_and_whoever_counted(
    given_steps: list[Step], seed: int
) -> None:
    found = []
    for process in (Process("kernel"), Process("kernel", seed=seed), Process("reference")):
        process.follow(NOW, given_steps)
        found.append(kept_states(process.registry)["percentiles"])
    assert found[0] == found[1] == found[2]


def test_a_state_is_a_copy() -> None:
    process = Process(WAYS[0], max_series=1)
    process.take(NOW, [Span(name="a"), Span(name="b")] * 3)
    state = process.processor.state()
    written = encode_state(state)
    process.follow(NOW, [(25 * SECOND, [Span(name="c")] * 9), (61 * SECOND, None), (-HOUR, None)])
    assert encode_state(state) == written


def test_what_is_given_up_for_want_of_room_is_the_same_after_a_restart() -> None:
    """The bound is looked at by the number of spans, so no state is to move it."""
    rng = np.random.default_rng(4)
    old, new = Process(WAYS[0], 10, 400), Process(WAYS[-1], 10, 400)
    names = [f"n{i}" for i in range(400)]
    durations = np.exp2(rng.uniform(0, 63, 60_000)).astype(np.uint64)
    batch = batch_of([Span(name=names[i % 400], start=NOW - 1) for i in range(60_000)])
    for i in range(8):
        arrived = batch.arrived(NOW + i * SECOND)
        object.__setattr__(arrived, "duration", np.roll(durations, 7 * i))
        old.processor.observe(arrived)
        if i == 3:
            restore_all(new.registry, kept_states(old.registry))
        elif i > 3:
            new.processor.observe(arrived)
    assert shown(new.registry) == shown(old.registry)


def kept(process: Process) -> State:
    return decode_state(encode_state(process.processor.state()))


def filled(way: str = WAYS[0]) -> Process:
    process = Process(way)
    process.follow(NOW, [(0, [Span(name=name) for name in "abcab"]), (10 * SECOND, [])])
    return process


@pytest.mark.parametrize(
    ("settings_of_the_reader", "why"),
    [({"window_seconds": 120}, "slots"), ({"max_series": 1}, "there can be 1")],
)
def test_other_settings_begin_anew(settings_of_the_reader: dict[str, int], why: str) -> None:
    with pytest.raises(CheckpointError, match=why):
        Process(WAYS[0], **settings_of_the_reader).processor.restore(kept(filled()))


def test_more_rows_than_before_take_over_all() -> None:
    more = Process(WAYS[0], max_series=10)
    more.processor.restore(kept(filled()))
    name = "spanmill_latency_seconds"
    assert shown(more.registry)[name] == shown(filled().registry)[name]


def damages(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of a state, each with values that can't be there."""
    if isinstance(value, dict):
        return [(*path, key) for key in value] + [
            place for key in value for place in damages(value[key], (*path, key))
        ]
    return []


PLACES = damages(kept(filled()))
WRONG = st.sampled_from(
    [
        None,
        -1,
        2**40,
        "x",
        True,
        1.5,
        float("nan"),
        [],
        [None],
        [-1],
        [[1]],
        [["a", "b"], ["a", "b"]],
        {},
        np.zeros(0, np.int64),
        np.array([5, 4, 4, -1, 2**40]),
        np.array([np.nan, -1.0]),
        np.full((2, 2), 3, np.uint32),
        np.array([2**32 - 1], np.uint32),
    ]
)


@settings(max_examples=400)
@given(st.sampled_from(PLACES), WRONG, st.sampled_from(WAYS))
def test_a_damaged_state_changes_nothing(place: tuple[Any, ...], wrong: Any, way: str) -> None:
    state = kept(filled())
    inner = state
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = wrong
    process = Process(way)
    before = shown(process.registry)
    try:
        process.processor.restore(state)
    except CheckpointError:
        assert shown(process.registry) == before
        assert encode_state(process.processor.state()) == encode_state(
            Process(way).processor.state()
        )
    # Whatever was taken over does no harm.
    process.follow(NOW, [(0, [Span(name=name) for name in "abcdef"]), (61 * SECOND, None)])
    shown(process.registry)


def names_shown(process: Process) -> set[str]:
    families = shown(process.registry).get("spanmill_latency_seconds", [])
    return {labels[1] for family in families for labels in family["labels"]}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("window_seconds", [10, 60, 300, 3600])
def test_a_clock_set_back_by_an_hour_keeps_what_is_there_for_as_long_as_ever(
    way: str, window_seconds: int
) -> None:
    process = Process(way, window_seconds, 10)
    window = window_seconds * SECOND
    process.take(NOW, [Span(name="before", start=NOW - SECOND)])
    back = NOW - HOUR
    process.take(back, [Span(name="after", start=back - SECOND)])
    assert names_shown(process) == {"before", "after"}
    process.take(back + window - SECOND, None)
    assert names_shown(process) == {"before", "after"}
    process.take(back + window + 2 * SLOT_NS, None)
    assert names_shown(process) == set()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", [HOUR, -HOUR])
def test_a_clock_that_steps_by_an_hour_and_back_stops_nothing(way: str, first: int) -> None:
    process = Process(way, 300, 2)
    at = NOW
    for moved in (0, first, -first, SECOND):
        at += moved
        for second in range(0, 120, 10):
            now = at + second * SECOND
            sent = [Span(name=name, start=now - SECOND) for name in ("a", "b", f"once-{second}")]
            process.take(now, sent)
            process.take(now, None)
        assert names_shown(process) >= {"a", "b"}
        covered = shown(process.registry)["spanmill_percentiles_window_seconds"]
        assert (
            covered == shown(Process(way, 300, 2).registry)["spanmill_percentiles_window_seconds"]
        )
        at += 110 * SECOND
    cells = process.processor._window.cells()
    ring = process.processor._ring
    assert (cells.slots >= ring.oldest).all()
    assert (cells.slots <= ring.newest).all()
    assert at // SLOT_NS == ring.newest


@pytest.mark.parametrize("way", WAYS)
def test_a_waiting_series_gets_a_row_soon_after_the_clock_was_set_back(way: str) -> None:
    process = Process(way, 60, 1)
    process.take(NOW, [Span(name="idle", start=NOW - SECOND)])
    at = NOW - HOUR
    for _ in range(5):
        process.take(at, [Span(name="busy", start=at - SECOND)] * 10)
        at += 10 * SECOND
    assert names_shown(process) == {"busy"}
