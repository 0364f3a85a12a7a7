"""The checks that every processor must pass."""

from __future__ import annotations

import copy
import random
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from unittest import mock

import numpy as np

from spanmill.journal.state import encode_state
from spanmill.spans.batch import Coded, SpanBatch
from spanmill.testing.fakes import Span
from spanmill.testing.traffic import flood, odd, ordinary, recoded, repeated, weighing
from spanmill.testing.trial import (
    NOW,
    ContractError,
    Make,
    State,
    Trial,
    added,
    difference,
)

_SECOND: Final = 10**9
_FEW: Final = 20
_CLOCKS: Final = ("time", "time_ns", "monotonic", "monotonic_ns", "localtime", "gmtime")


@dataclass(frozen=True)
class Subject:
    """What is checked: how to make one, spans that it has something to do with, its bounds."""

    make: Make
    spans: Sequence[Span]
    max_state_bytes: int

    def after(self, *batches: Sequence[Span]) -> State:
        """The counters and histograms after these batches."""
        trial = Trial(self.make)
        for spans in batches:
            trial.observe(trial.batch(spans))
        return trial.sums()


def check_processor(
    make: Make,
    *,
    spans: Sequence[Span] = (),
    without: Collection[str] = (),
    max_state_bytes: int = 1 << 20,
) -> None:
    """Check that a processor keeps the contract; for a test of its author.

    - `make`: makes one, given the metrics: its class, or a function that adds settings.
    - `spans`: some that it has something to do with, where those that are made here don't:
      they have texts and numbers in the attributes that it declares.
    - `without`: names of CHECKS that are left out, for a processor that breaks one on purpose.
    - `max_state_bytes`: how much it may keep beside its metrics, pickled.

    Raises AssertionError with a sentence for each check that fails: what is wrong, and what to do.
    """
    unknown = set(without) - set(CHECKS)
    if unknown:
        raise ValueError(f"there is no check {sorted(unknown)}; there are {', '.join(CHECKS)}")
    subject = Subject(make, [*ordinary(Trial(make).attributes), *spans], max_state_bytes)
    failures: dict[str, str] = {}
    for name, check in CHECKS.items():
        if name in without:
            continue
        try:
            check(subject)
        except ContractError as error:
            failures.setdefault(str(error), name)
    if failures:
        lines = [f"- {name}: {sentence}" for sentence, name in failures.items()]
        raise ContractError("\n".join(["the processor breaks the contract:", *lines]))


def _check_counts(subject: Subject) -> None:
    trial = Trial(subject.make)
    trial.observe(trial.batch(subject.spans))
    trial.tick(NOW + 10 * _SECOND, "after spans")
    if not any(map(any, trial.figures().values())):
        raise ContractError(
            "shows nothing after the spans that it is checked with: give check_processor "
            "spans=[…] that it has something to do with"
        )


def _check_deterministic(subject: Subject) -> None:
    states = []
    for seed, shift in ((1, 0), (2, 86_400)):
        with _chances(seed), _wall_clock(shift) as asked:
            trial = Trial(subject.make)
            for begin in range(0, len(subject.spans), 40):
                at = NOW + begin * _SECOND
                trial.observe(trial.batch(subject.spans[begin : begin + 40], at))
                trial.tick(at + _SECOND, "after a batch")
            states.append(trial.figures())
        if asked:
            raise ContractError(
                f"reads the wall clock ({asked[0]}): take batch.arrival_ns and the tick's now_ns, "
                "or a replay of the same records gives something else"
            )
    differs = difference(*states)
    if differs is not None:
        raise ContractError(
            f"gives different figures for the same records: {differs}. Use no wall clock and no "
            "random numbers without a seed of your own"
        )


def _check_split(subject: Subject) -> None:
    spans = subject.spans
    pieces = [spans[begin : begin + 7] for begin in range(0, len(spans), 7)]
    differs = difference(subject.after(spans), subject.after(*pieces))
    if differs is not None:
        raise ContractError(
            f"counts something else when a batch comes in pieces: {differs}. How clients cut "
            "their spans into requests means nothing: count spans, not batches"
        )


def _check_order(subject: Subject) -> None:
    half = len(subject.spans) // 2
    first, second = subject.spans[:half], subject.spans[half:]
    differs = difference(subject.after(first, second), subject.after(second, first))
    if differs is not None:
        raise ContractError(
            f"counts something else when batches come in another order: {differs}. What a span "
            "adds must not depend on the spans before it"
        )


def _check_mergeable(subject: Subject) -> None:
    half = len(subject.spans) // 2
    first, second = subject.spans[:half], subject.spans[half:]
    apart = added(subject.after(first), subject.after(second))
    differs = difference(subject.after(first, second), apart)
    if differs is not None:
        raise ContractError(
            f"counts something else when two of it share the work and are added up: {differs}. "
            "What a span adds must not depend on the spans before it"
        )


def _check_coding(subject: Subject) -> None:
    apart, shared = Trial(subject.make), Trial(subject.make)
    apart.observe(apart.batch(subject.spans))
    shared.observe(recoded(shared.batch(subject.spans)))
    differs = difference(apart.sums(), shared.sums())
    if differs is not None:
        raise ContractError(
            f"counts something else when equal values have one code instead of several: {differs}. "
            "A column's codes and the length of its values mean nothing: only the values do"
        )


def _check_weights(subject: Subject) -> None:
    differs = difference(
        subject.after(weighing(subject.spans, 4)), subject.after(repeated(subject.spans, 4))
    )
    if differs is not None:
        raise ContractError(
            f"counts a span that stands for 4 as something else than 4 spans: {differs}. Let add() "
            "and observe() apply the weights (weighted=True), or hand span.weight on; where one "
            "as one is meant, check without=['weights']"
        )


def _check_leaves_batch(subject: Subject) -> None:
    trial = Trial(subject.make)
    batch = trial.batch(subject.spans)
    before = copy.deepcopy(_contents(batch))
    trial.observe(batch)
    for column, content in _contents(batch).items():
        was = before[column]
        same = np.array_equal(was, content) if isinstance(content, np.ndarray) else was == content
        if not same:
            raise ContractError(
                f"changes {column} of the batch, which others read after it: make a copy"
            )


def _check_odd_values(subject: Subject) -> None:
    trial = Trial(subject.make)
    trial.observe(trial.batch([]), "an empty batch")
    for what, spans in odd(trial.attributes):
        trial.observe(trial.batch(spans), what)


def _check_bounded(subject: Subject) -> None:
    trial = Trial(subject.make, max_series=_FEW)
    for number, spans in enumerate(flood(trial.attributes, 40)):
        at = NOW + number * _SECOND
        trial.observe(trial.batch(spans, at), "spans of which no two have a value in common")
        trial.tick(at, "in a flood")
    size = len(trial.kept_state())
    if size > subject.max_state_bytes:
        raise ContractError(
            f"keeps {size:,} bytes after 10,000 spans of which no two have a value in common "
            f"({subject.max_state_bytes:,} are allowed): keep only so many keys at once, and drop "
            "the oldest; or give check_processor the bound that it has, max_state_bytes"
        )
    for name, label_sets in trial.registry.limited().items():
        assert len(label_sets) <= _FEW, f"{name}: the registry holds its limit"


def _check_ticks(subject: Subject) -> None:
    trial = Trial(subject.make)
    trial.tick(NOW, "before the first batch")
    trial.tick(NOW, "before the first batch")
    trial.observe(trial.batch(subject.spans))
    trial.tick(NOW + 10 * _SECOND, "after a batch")
    trial.tick(NOW - 3600 * _SECOND, "when the clock was set back")
    trial.tick(NOW + 10**8 * _SECOND, "when years have passed")
    trial.observe(trial.batch(subject.spans, NOW - _SECOND), "a batch after a later tick")


def _check_checkpointable(subject: Subject) -> None:
    trial = Trial(subject.make)
    trial.kept_state()
    trial.observe(trial.batch(subject.spans))
    trial.kept_state()


def _check_kept(subject: Subject) -> None:
    half = len(subject.spans) // 2
    for before in ([], subject.spans[:half]):
        whole, restarted = Trial(subject.make), Trial(subject.make)
        if before:
            whole.observe(whole.batch(before))
            whole.tick(NOW + _SECOND, "after spans")
        returned, parts = whole.returned_state(), whole.kept_parts()
        written = encode_state(returned)
        restarted.restore(parts)
        for trial in (whole, restarted):
            trial.observe(trial.batch(subject.spans[half:], NOW + 2 * _SECOND))
            trial.tick(NOW + 10 * _SECOND, "after spans")
        if encode_state(returned) != written:
            raise ContractError(
                "returns from state() what later batches change: return copies (list(…), "
                "dict(…), array.copy())"
            )
        differs = difference(whole.figures(), restarted.figures())
        if differs is not None:
            raise ContractError(
                f"shows something else after a restart: {differs}. Beside its metrics only that "
                "comes back which state() returns and restore(state) takes over: write both"
            )


CHECKS: Final[Mapping[str, Callable[[Subject], None]]] = MappingProxyType(
    {
        "odd_values": _check_odd_values,
        "ticks": _check_ticks,
        "leaves_batch": _check_leaves_batch,
        "counts": _check_counts,
        "deterministic": _check_deterministic,
        "split": _check_split,
        "order": _check_order,
        "mergeable": _check_mergeable,
        "coding": _check_coding,
        "weights": _check_weights,
        "bounded": _check_bounded,
        "checkpointable": _check_checkpointable,
        "kept": _check_kept,
    }
)
"""Every check by its name."""


def _contents(batch: SpanBatch) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in batch.__slots__:
        value = getattr(batch, name)
        if name == "attributes":
            for key, column in value.items():
                found[f"attributes[{key!r}].codes"] = column.codes
                found[f"attributes[{key!r}].values"] = [repr(v)[:99] for v in column.values]
        elif isinstance(value, Coded):
            found[f"{name}.codes"] = value.codes
            found[f"{name}.values"] = [repr(v)[:999] for v in value.values]
        elif isinstance(value, np.ndarray):
            found[name] = value
    return found


@contextmanager
def _wall_clock(shift: int) -> Iterator[list[str]]:
    """Note which clocks this thread asks for, and set them forward by `shift` seconds."""
    asked: list[str] = []
    thread = threading.get_ident()

    def watched(name: str) -> Callable[..., Any]:
        original = getattr(time, name)

        def read(*arguments: Any) -> Any:
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if threading.get_ident() == thread and not caller.startswith("logging"):
                asked.append(f"time.{name}")
            value = original(*arguments)
            if isinstance(value, int | float):
                return value + (shift * _SECOND if name.endswith("_ns") else shift)
            return value

        return read

    with ExitStack() as patches:
        for name in _CLOCKS:
            patches.enter_context(mock.patch.object(time, name, watched(name)))
        yield asked


@contextmanager
def _chances(seed: int) -> Iterator[None]:
    """Seed the random numbers that all share, and put them back."""
    before, numpy_before = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpy_before)
