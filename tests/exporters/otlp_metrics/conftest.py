"""Pushers that are closed when the test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from exporters.otlp_metrics.pushing import Pushing

StartPushing = Callable[..., Pushing]


@pytest.fixture
def pushing() -> Iterator[StartPushing]:
    started: list[Pushing] = []

    def start(*arguments: Any, **settings: Any) -> Pushing:
        started.append(Pushing(*arguments, **settings))
        return started[-1]

    yield start
    for each in started:
        each.stop(0)
