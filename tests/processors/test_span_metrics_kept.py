"""Span metrics over a restart: nothing shows that there was one."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.kept_snapshots import kept_states, restore_all, shown
from spanmill.errors import CheckpointError
from spanmill.journal.state import State, decode_state
from spanmill.kernels import SWITCH, load_kernel
from spanmill.processors.span_metrics import SpanMetrics, SpanMetricsSettings
from spanmill.processors.target_info import TargetInfo
from spanmill.series.exemplars import ExemplarPool
from spanmill.series.names import SpanNames
from spanmill.series.registry import Registry
from spanmill.telemetry import Telemetry
from spanmill.testing import ManualClock, Span, batch_of

NOW = 10**18
SECOND = 10**9
SETTINGS = SpanMetricsSettings(
    dialects=("tempo", "otel"),
    dimensions={"http.route": "http_route"},
    buckets_ns={"tempo": (2_000_000, 8_000_000, 64_000_000), "otel": (4_000_000, 1_000_000_000)},
    max_series=6,
    idle_timeout_ns=90 * SECOND,
    job=True,
)
KERNELS = ("_aliases", "_contenders", "_table")

Kernels = Literal["on", "off"]
Step = list[Span] | int
"""A batch, or so many ticks of 10 s."""


class Process:
    """Span metrics and target info, fed and looked at."""

    def __init__(
        self,
        kernels: Kernels,
        settings: SpanMetricsSettings = SETTINGS,
        exemplars: int = 8,
        ratio: float = 0.5,
    ) -> None:
        self.registry = Registry(ManualClock(NOW))
        telemetry = Telemetry(self.registry)
        with mock.patch.dict(os.environ, {SWITCH: kernels}):
            self.processors = (
                SpanMetrics(
                    settings,
                    self.registry,
                    telemetry,
                    SpanNames(),
                    ExemplarPool(exemplars, ratio, "salt"),
                ),
                TargetInfo(self.registry, settings.idle_timeout_ns),
            )
        self.now = NOW

    def play(self, steps: Sequence[Step]) -> Process:
        for step in steps:
            if isinstance(step, int):
                for _ in range(step):
                    self.now += 10 * SECOND
                    self.registry.applying(self.now)
                    self.registry.expire(self.now)
                    for processor in self.processors:
                        processor.tick(self.now)
            else:
                self.now += SECOND // 3
                self.registry.applying(self.now)
                for processor in self.processors:
                    processor.observe(batch_of(step, processor.attributes, self.now))
        return self

    def restarted(self, kernels: Kernels) -> Process:
        again = Process(kernels)
        again.now = self.now
        restore_all(again.registry, kept_states(self.registry))
        return again

    def shown(self) -> dict[str, list[Any]]:
        return shown(self.registry, ["process_"])


IDS = st.integers(1, 40)
SPANS = st.builds(
    lambda name, service, status, duration, weight, ids, route: Span(
        name=f"operation {'abcdefghijklmnop'[name]}",
        service=f"service {service}",
        status=status,
        duration=duration,
        weight=weight,
        trace_id=ids[0].to_bytes(16, "little"),
        span_id=ids[1].to_bytes(8, "little"),
        attributes={"http.route": route} if route else {},
        resource={"service.namespace": "shop", "host.name": route},
    ),
    name=st.integers(0, 15),
    service=st.integers(0, 3),
    status=st.integers(0, 2),
    duration=st.one_of(
        st.integers(0, 3), st.integers(1, 10**10), st.integers(1, 40).map(lambda i: 2**i)
    ),
    weight=st.sampled_from([1.0, 1.0, 1.0, 4.0, 1.1]),
    ids=st.tuples(IDS, IDS),
    route=st.sampled_from(["", "", "/", "/a"]),
)
STEPS = st.lists(
    st.one_of(st.lists(SPANS, min_size=1, max_size=12), st.sampled_from([1, 2, 12, 60])),
    max_size=14,
)


@pytest.mark.parametrize(
    ("before", "after"), [("on", "on"), ("off", "off"), ("on", "off"), ("off", "on")]
)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(first=STEPS, second=STEPS)
def test_what_follows_a_restart_is_what_would_have_followed_without_one(
    before: Kernels, after: Kernels, first: list[Step], second: list[Step]
) -> None:
    need_kernels()
    whole = Process(before).play(first)
    again = whole.restarted(after)
    assert_same(again, whole)
    for step in second:
        whole.play([step])
        again.play([step])
        assert_same(again, whole)


def assert_same(one: Process, other: Process) -> None:
    """Name the families that differ: a comparison of all of them can't be read."""
    mine, theirs = one.shown(), other.shown()
    assert [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)] == []


def need_kernels() -> None:
    if not all(load_kernel(f"spanmill.series.{name}") for name in KERNELS):
        pytest.skip("not all kernels are built")


def busy() -> Process:
    """More label sets and more places for exemplars than there is room for."""
    spans = [
        Span(
            name=f"operation {letter}",
            duration=(1 + i) * 1_500_000,
            trace_id=bytes([1 + i]) * 16,
            span_id=bytes([1 + j]) * 8,
            status=2 * (i % 2),
        )
        for i, letter in enumerate("abcdefgh")
        for j in range(4)
    ]
    return Process("on").play([spans, 1, spans[:8]])


def test_a_state_written_twice_is_the_same_bytes() -> None:
    process = busy()
    assert kept_states(process.registry) == kept_states(process.registry)
    assert kept_states(process.restarted("on").registry) == kept_states(process.registry)


def part_of(process: Process, name: str) -> State:
    return decode_state(kept_states(process.registry)[name])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"dialects": ("tempo",)}, "buckets"),
        ({"dimensions": {}}, "labels"),
        ({"job": False}, "labels"),
        ({"buckets_ns": {**SETTINGS.buckets_ns, "otel": (5,)}}, "buckets"),
    ],
)
def test_other_settings_are_named_and_nothing_is_taken_over(
    changed: dict[str, Any], words: str
) -> None:
    state = part_of(busy(), "series.span_metrics")
    again = Process("on", dataclasses.replace(SETTINGS, **changed))
    nothing = again.shown()
    with pytest.raises(CheckpointError, match=words):
        again.registry.kept()["series.span_metrics"].restore(state)
    assert (again.shown() == nothing) is True


def test_families_of_another_dialect_begin_at_0_with_stamps_of_their_own() -> None:
    process = busy()
    again = Process("on", dataclasses.replace(SETTINGS, dialects=("otel",)))
    again.registry.kept()["series.span_metrics"].restore(part_of(process, "series.span_metrics"))
    calls = again.shown()["traces_span_metrics_calls_total"][0]
    assert {float.fromhex(value) for value in calls["data"]["values"][2]} == {0.0}
    last_batch = NOW + SECOND // 3 + 10 * SECOND + SECOND // 3
    assert {float.fromhex(value) for value in calls["created"][2]} == {last_batch / 1e9}


def latency(state: State) -> Any:
    return state["columns"]["traces_spanmetrics_latency"]["counts"][0]


SERIES: dict[str, Callable[[State], Any]] = {
    "histograms of fewer series": lambda s: latency(s).update(rows=1),
    "no histograms": lambda s: s["columns"]["traces_spanmetrics_latency"].update(counts=[]),
    "fewer sums": lambda s: latency(s)["sums"].update(small=np.zeros(1, np.uint8)),
    "sums that are missing": lambda s: latency(s)["sums"].pop("others"),
    "a schema that there is not": lambda s: latency(s)["native"]["schemas"].fill(100),
    "too long a range": lambda s: latency(s)["native"]["lengths"].fill(255),
    "a range that is far off": lambda s: latency(s)["native"]["firsts"].fill(2**30),
    "no native form": lambda s: latency(s).update(native=None),
    "a sampled count of fewer series": lambda s: s["columns"][
        "spanmill_sampled_spans_total"
    ].update(sums={"values": {"small": np.zeros(1, np.uint8)}}),
}


@pytest.mark.parametrize("kernels", ["on", "off"])
@pytest.mark.parametrize("damage", SERIES)
def test_damaged_columns_change_nothing(damage: str, kernels: Kernels) -> None:
    process = busy()
    state = part_of(process, "series.span_metrics")
    SERIES[damage](state)
    again = Process(kernels)
    nothing = again.shown()
    with pytest.raises(CheckpointError):
        again.registry.kept()["series.span_metrics"].restore(state)
    assert (again.shown() == nothing) is True
    restore_all(again.registry, kept_states(process.registry))
    assert_same(again, process)


EXEMPLARS: dict[str, Callable[[State], Any]] = {
    "another version": lambda s: s.update(version=7),
    "another limit": lambda s: s.update(max_exemplars=9),
    "another rule of sampling": lambda s: s.update(kept_ratio=0.25),
    "other buckets": lambda s: s.update(bounds_ns=[[1]]),
    "fewer entries": lambda s: s.update(entries=s["entries"][1:]),
    "an entry that is free too": lambda s: s["free"].fill(1),
    "a histogram that there is not": lambda s: s["records"]["owner"].fill(2),
    "two exemplars in one place": lambda s: s["records"]["slot"].fill(s["records"]["slot"][0]),
    "a place without a series": lambda s: s["records"]["slot"].fill(50_000),
    "a place before the first": lambda s: s["records"].update(slot=-s["records"]["slot"]),
    "ids of another length": lambda s: s["records"].update(trace=s["records"]["trace"][:, :1]),
}


@pytest.mark.parametrize("damage", EXEMPLARS)
def test_damaged_exemplars_change_nothing(damage: str) -> None:
    process = busy()
    states = {name: decode_state(body) for name, body in kept_states(process.registry).items()}
    assert len(states["exemplars"]["entries"]) > 1
    again = Process("on")
    for name, state in states.items():
        if name != "exemplars":
            again.registry.kept()[name].restore(state)
    without = again.shown()
    EXEMPLARS[damage](states["exemplars"])
    with pytest.raises(CheckpointError):
        again.registry.kept()["exemplars"].restore(states["exemplars"])
    assert (again.shown() == without) is True
    again.registry.kept()["exemplars"].restore(part_of(process, "exemplars"))
    assert_same(again, process)


def test_exemplars_whose_series_could_not_be_restored_begin_anew() -> None:
    again = Process("on")
    with pytest.raises(CheckpointError, match="no series"):
        again.registry.kept()["exemplars"].restore(part_of(busy(), "exemplars"))


@pytest.mark.parametrize("labels", [[1], [[["a"]]], [], "x"])
def test_damaged_labels_of_resources_change_nothing(labels: Any) -> None:
    process = busy()
    state = part_of(process, "series.target_info")
    state["columns"]["info"]["labels"] = labels
    again = Process("on")
    with pytest.raises(CheckpointError):
        again.registry.kept()["series.target_info"].restore(state)
    restore_all(again.registry, kept_states(process.registry))
    assert_same(again, process)
