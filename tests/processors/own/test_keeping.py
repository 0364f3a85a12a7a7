"""What a processor of one's own keeps over a restart beside its metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from processors.own.hosting import SECOND, START, Shown
from spanmill.config.processors import ProcessorConfig
from spanmill.errors import CheckpointError, StartError
from spanmill.journal.state import decode_state, encode_state
from spanmill.processors import Metrics, Processor, SpanBatch, State
from spanmill.processors.hosted import HostedProcessor
from spanmill.processors.own import build_own_processor
from spanmill.series.registry import Registry
from spanmill.testing import ManualClock, Span, batch_of


class Numbered(Processor):
    """Shows how many batches it has seen."""

    def __init__(self, metrics: Metrics) -> None:
        self.batches = 0
        self.sizes = np.zeros(0, np.int64)
        self.names: list[str] = []
        self.seen = metrics.gauge("batches_seen", "Batches.")
        self.starts = metrics.counter("starts_total", "Starts.")
        self.starts.add_one()

    def observe(self, batch: SpanBatch) -> None:
        self.batches += 1
        self.sizes = np.append(self.sizes, len(batch))
        self.names.extend(batch.name.values)
        self.seen.set((), self.batches)

    def state(self) -> State:
        return {"batches": self.batches, "sizes": self.sizes, "names": self.names}

    def restore(self, state: State) -> None:
        self.batches = state["batches"]
        self.names.extend(state["names"])
        self.sizes = state["sizes"]


class KeepsALock(Numbered):
    def state(self) -> State:
        return {"lock": object()}


class RaisesInState(Numbered):
    def state(self) -> State:
        raise KeyError("lost")


class ReturnsNoDict(Numbered):
    def state(self) -> State:
        return [1]  # type: ignore[return-value]  # that is what is wrong with it


def hosted(make: Callable[[Metrics], Processor] = Numbered) -> tuple[Shown, HostedProcessor]:
    shown = Shown()
    return shown, shown.host(make)


def observe(processor: HostedProcessor, *names: str) -> None:
    processor.observe(batch_of([Span(name=name) for name in names], (), START))


def kept(processor: HostedProcessor) -> State:
    return decode_state(encode_state(processor.state()))


def own(processor: HostedProcessor) -> Numbered:
    assert isinstance(processor.processor, Numbered)
    return processor.processor


def test_it_goes_on_from_its_state() -> None:
    _, before = hosted()
    observe(before, "a", "b")
    shown, after = hosted()
    after.restore(kept(before))
    observe(after, "c")
    assert shown.values("batches_seen") == {(): 2.0}
    assert own(after).sizes.tolist() == [2, 1]


def test_its_state_is_of_the_moment_when_it_was_asked_for() -> None:
    _, before = hosted()
    observe(before, "a")
    state = before.state()
    observe(before, "b")
    _, after = hosted()
    after.restore(decode_state(encode_state(state)))
    assert own(after).names == ["a"]


def test_what_was_added_in_the_constructor_counts_once() -> None:
    first, before = hosted()
    second, again = hosted()
    again.restore(kept(before))  # before any record: nothing has counted yet
    for shown, processor in ((first, before), (second, again)):
        observe(processor, "a")
        assert shown.values("starts_total") == {(): 1.0}
    third, after = hosted()
    after.restore(kept(before))
    observe(after, "b")
    # Its series would have come back with the label sets, which are another part.
    assert third.values("starts_total") == {(): 0.0}


def test_one_without_a_state_keeps_its_metrics_alone() -> None:
    class Plain(Processor):
        def __init__(self, metrics: Metrics) -> None:
            self.state = {"a": 1}  # a value of the author's, and no method
            self.seen = metrics.gauge("seen", "Seen.")

        def observe(self, batch: SpanBatch) -> None:
            self.state["a"] += 1

    _, before = hosted(Plain)
    observe(before, "a")
    _, after = hosted(Plain)
    after.restore(kept(before))
    assert vars(after.processor)["state"] == {"a": 1}


@pytest.mark.parametrize("make", [KeepsALock, RaisesInState, ReturnsNoDict])
def test_a_state_that_can_t_be_written_is_logged_once_and_left_out(
    make: type[Numbered], caplog: pytest.LogCaptureFixture
) -> None:
    _, before = hosted(make)
    observe(before, "a")
    with caplog.at_level(logging.WARNING):
        states = [kept(before), kept(before)]
    (record,) = caplog.records
    assert record.processor == "mine"  # type: ignore[attr-defined]  # a field of the line
    assert record.exc_info is not None
    _, after = hosted(make)
    after.restore(states[-1])
    assert own(after).batches == 0


def test_a_state_that_it_refuses_leaves_it_as_it_was_made() -> None:
    _, before = hosted()
    observe(before, "a")
    state = kept(before)
    state["own"] = encode_state({"batches": 7, "names": ["x"]})
    _, after = hosted()
    with pytest.raises(CheckpointError, match=r"mine refuses .*test_keeping\.py:\d+: KeyError"):
        after.restore(state)
    assert (own(after).batches, own(after).names) == (0, [])
    observe(after, "b")
    assert own(after).batches == 1


def test_its_metrics_are_the_same_after_a_state_that_it_refuses() -> None:
    _, before = hosted()
    observe(before, "a")
    state = {**kept(before), "own": encode_state({})}
    shown, after = hosted()
    with pytest.raises(CheckpointError):
        after.restore(state)
    observe(after, "b")
    assert shown.values("batches_seen") == {(): 1.0}


@pytest.mark.parametrize("state", [{}, {"version": 2}, {"version": 1, "counted": 1, "own": None}])
def test_a_damaged_state_is_refused(state: State) -> None:
    _, after = hosted()
    with pytest.raises(CheckpointError, match="the processor mine"):
        after.restore(state)


FILE = """
from spanmill.processors import Processor
class P(Processor):
    def __init__(self, metrics):
        self.c = metrics.counter("c_total", "C.")
    def observe(self, batch): self.c.add(batch)
    {method}
"""


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        ("def state(self): return {}", r"P has no method restore\(self, state\)"),
        ("def restore(self, state): pass", r"P has no method state\(self\)"),
        ("def state(self, now): return {}\n    def restore(self, s): pass", r"must take \(\)"),
        ("def state(self): return {}\n    def restore(self): pass", r"must take \(state\)"),
    ],
)
def test_one_of_the_two_methods_alone_is_a_mistake(
    method: str, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "p.py"
    file.write_text(FILE.format(method=method), encoding="utf-8")
    with pytest.raises(StartError, match=sentence):
        build_own_processor(ProcessorConfig(name="p", file=file), Registry(ManualClock(START)))


def test_a_configured_one_is_kept_under_its_name(tmp_path: Path) -> None:
    file = tmp_path / "p.py"
    file.write_text(FILE.format(method=""), encoding="utf-8")
    registry = Registry(ManualClock(START + SECOND))
    made = build_own_processor(ProcessorConfig(name="p", file=file), registry)
    assert registry.kept()["own.p"] is made
