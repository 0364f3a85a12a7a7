"""The uncertainty that sampled input gives to counts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spanmill.clock import SystemClock
from spanmill.processors.sampled_calls import SampledCalls
from spanmill.series.label_sets import LabelSets
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Values


def shown(registry: Registry) -> dict[str, dict[str, float]]:
    found = {}
    for family in registry.snapshot():
        assert isinstance(family.data, Values)
        services = [labels[0] if labels else "" for labels in family.labels]
        found[family.family.name] = dict(zip(services, family.data.values.tolist(), strict=True))
    return found


def counted(*spans: tuple[str, float], chunks: int = 1) -> dict[str, dict[str, float]]:
    registry = Registry(SystemClock())
    label_sets: LabelSets = registry.label_sets(("service",), 10, None)
    calls = SampledCalls(registry, label_sets)
    for part in np.array_split(np.arange(len(spans)), chunks):
        rows = label_sets.rows([(spans[i][0],) for i in part], 10**18)
        calls.count(rows, np.array([spans[i][1] for i in part]))
    return shown(registry)


def test_unsampled_input_shows_nothing() -> None:
    assert counted(("shop", 1.0), ("cart", 1.0)) == {}


def test_sampled_spans_and_their_standard_error_are_shown_for_the_label_sets_that_have_any() -> (
    None
):
    assert counted(("shop", 1.0), ("cart", 4.0), ("cart", 4.0), ("cart", 1.0)) == {
        "spanmill_sampled_spans_total": {"cart": 2.0},
        "spanmill_calls_variance_total": {"cart": 24.0},
        "spanmill_calls_standard_error": {"cart": math.sqrt(24.0)},
    }


def test_how_spans_are_batched_changes_nothing() -> None:
    spans = [("cart", weight) for weight in (1.0, 2.0, 4.0, 8.0, 2.0)]
    assert counted(*spans, chunks=5) == counted(*spans)


def test_the_standard_error_is_that_of_repeated_samples() -> None:
    """2,000 samples of 400 spans, one in four: the estimates scatter as much as is shown."""
    random = np.random.default_rng(1)
    kept = random.binomial(400, 0.25, size=2000)
    scatter = float(np.std(kept * 4.0))
    typical = counted(*[("cart", 4.0)] * 100)["spanmill_calls_standard_error"]["cart"]
    assert typical == pytest.approx(scatter, rel=0.05)
