"""Percentiles do not depend on how spans were batched, ordered or spread over processors."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_choice import kernel_or_reference
from spanmill.clock import SystemClock
from spanmill.processors.percentiles import Percentiles, PercentilesSettings
from spanmill.series.registry import Registry
from spanmill.series.snapshot import LabelValues, Values
from spanmill.spans.batch import SpanBatch
from spanmill.spans.groups import groups_of
from spanmill.telemetry import Telemetry
from spanmill.testing import Span, batch_of

choice = kernel_or_reference("spanmill.series._window")

SECOND = 10**9
NOW = 10**18
WINDOW = 60 * SECOND

Batch = tuple[int, list[Span]]


class Unchanged:
    def labels(self, values: Sequence[str]) -> list[str]:
        return list(values)


def new() -> tuple[Percentiles, Registry]:
    registry = Registry(SystemClock())
    settings = PercentilesSettings(WINDOW, 100)
    return Percentiles(settings, registry, Telemetry(registry), Unchanged()), registry


def fed(*batches: Batch) -> tuple[Percentiles, Registry]:
    processor, registry = new()
    for arrival, spans in batches:
        processor.observe(batch_of(spans, arrival_ns=arrival))
    return processor, registry


def shown(processor: Percentiles, registry: Registry) -> dict[LabelValues | None, float]:
    """What is shown once time has come to the end of all batches."""
    processor.tick(NOW + 50 * SECOND)
    for family in registry.snapshot():
        if family.family.name == "spanmill_latency_seconds":
            assert isinstance(family.data, Values)
            return dict(zip(family.labels, family.data.values.tolist(), strict=True))
    return {}


def merged(*parts: Percentiles) -> tuple[Percentiles, Registry]:
    target, registry = new()
    for part in parts:
        target.merge(part)
    return target, registry


spans = st.builds(
    Span,
    name=st.sampled_from("abc"),
    service=st.sampled_from(["shop", "cart"]),
    kind=st.integers(1, 3),
    start=st.integers(NOW - 90 * SECOND, NOW + 60 * SECOND) | st.sampled_from([0, 2**63]),
    duration=st.integers(0, 10**10) | st.sampled_from([0, 2**62]),
    weight=st.floats(0.5, 1000),
)
batches = st.lists(
    st.tuples(st.integers(NOW, NOW + 50 * SECOND), st.lists(spans, max_size=8)), max_size=6
)


@given(batches, st.randoms(use_true_random=False))
def test_the_order_of_batches_and_their_size_change_nothing(
    given_batches: list[Batch], random: Random
) -> None:
    single = [(arrival, [span]) for arrival, batch in given_batches for span in batch]
    random.shuffle(single)
    assert shown(*fed(*single)) == shown(*fed(*given_batches))


@given(batches, batches, batches)
def test_merging_is_associative_and_commutative(
    a: list[Batch], b: list[Batch], c: list[Batch]
) -> None:
    together = shown(*fed(*a, *b, *c))
    first, second, third = fed(*a)[0], fed(*b)[0], fed(*c)[0]
    assert shown(*merged(first, second, third)) == together
    assert shown(*merged(third, first, second)) == together
    assert shown(*merged(first, merged(second, third)[0])) == together


def test_merging_one_that_never_saw_a_span_changes_nothing() -> None:
    processor, registry = fed((NOW, [Span(start=NOW - SECOND)]))
    processor.merge(new()[0])
    assert len(shown(processor, registry)) == 4


def test_merging_one_that_stopped_long_ago_changes_nothing() -> None:
    past = NOW - 3600 * SECOND
    processor, registry = fed((NOW, [Span(start=NOW - SECOND)]))
    processor.merge(fed((past, [Span(name="old", start=past)]))[0])
    assert {labels and labels[1] for labels in shown(processor, registry)} == {"GET /"}


def test_windows_of_different_lengths_are_not_merged() -> None:
    registry = Registry(SystemClock())
    other = Percentiles(
        PercentilesSettings(2 * WINDOW, 100), registry, Telemetry(registry), Unchanged()
    )
    with pytest.raises(ValueError, match="different lengths"):
        new()[0].merge(other)


def known(batch: SpanBatch) -> SpanBatch:
    """The batch with groups as a decoder finds them, finer than the series of percentiles."""
    groups = groups_of(batch, ())
    words = []
    for row in groups.first.tolist():
        service = batch.resource.values[batch.resource.codes[row]].attributes["service.name"]
        identity = (service, batch.name.value(row), int(batch.kind[row]), int(batch.status[row]))
        words.append([hash(identity) % 2**64, hash(str(identity)) % 2**64])
    return dataclasses.replace(
        batch,
        groups=dataclasses.replace(
            groups, identities=np.array(words, np.uint64).reshape(len(words), 2)
        ),
    )


@given(batches, st.integers(1, 4))
def test_groups_that_a_decoder_knows_change_nothing(
    given_batches: list[Batch], max_series: int
) -> None:
    settings = PercentilesSettings(WINDOW, max_series)
    found = []
    for groups_known in (False, True):
        registry = Registry(SystemClock())
        processor = Percentiles(settings, registry, Telemetry(registry), Unchanged())
        for arrival, sent in sorted(given_batches, key=lambda batch: batch[0]):
            batch = batch_of(sent, arrival_ns=arrival)
            processor.observe(known(batch) if groups_known else batch)
        found.append(shown(processor, registry))
    assert found[0] == found[1]
