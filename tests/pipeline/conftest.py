"""A whole processor in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from running_processor import RunningProcessor, Start


@pytest.fixture
def start() -> Iterator[Start]:
    """Start processors with these settings; all end with the test."""
    running: list[RunningProcessor] = []

    def begin(**settings: object) -> RunningProcessor:
        running.append(RunningProcessor(settings))
        return running[-1]

    yield begin
    for processor in running:
        processor.close()
