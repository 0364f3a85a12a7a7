"""The built-in processors face the contract checks that an author's own face."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from spanmill.config.model import Config
from spanmill.processors import Metrics, Processor
from spanmill.processors.factory import build_processors
from spanmill.telemetry import Telemetry
from spanmill.testing import check_processor

CONFIG = Config.model_validate(
    {"span_metrics": {"dimensions": ["http.route", "tenant.id"], "dialects": ["tempo", "otel"]}}
)
# Their columns are the registry's to keep, not a pickle's.
STATE = ["bounded", "checkpointable"]


def built_in(name: str) -> Callable[[Metrics], Processor]:
    def make(metrics: Metrics) -> Processor:
        built = build_processors(CONFIG, metrics.registry, Telemetry(metrics.registry))
        (found,) = (guard.processor for guard in built if guard.name == name)
        return cast(Processor, found)  # the factory makes no other ones

    return make


@pytest.mark.parametrize(
    ("name", "without"),
    [
        # Beside calls they show how many spans were sampled or left out, which no weight changes.
        ("span_metrics", ["weights"]),
        ("service_graph", ["weights"]),
        ("target_info", []),
        ("percentiles", []),
    ],
)
def test_it_keeps_the_contract(name: str, without: list[str]) -> None:
    check_processor(built_in(name), without=[*STATE, *without])
