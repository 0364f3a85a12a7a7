"""Processes for the tests against real components; their logs are shown when a test fails."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from components.chain import Chain, Route, start_chain
from components.process import RUNNING, Processes, running_processes
from components.replayed_shop import ReplayedShop, replay_shop


@pytest.fixture(scope="module")
def processes(request: pytest.FixtureRequest) -> Iterator[Processes]:
    """What one module's tests have started, stopped after the last of them."""
    with running_processes(request.config) as started:
        yield started


@pytest.fixture(scope="module", params=list(Route), ids=lambda route: route.value)
def chain(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chain]:
    """Everything from the Collector to the backends, running, once for each way in."""
    with running_processes(request.config) as started:
        yield start_chain(started, tmp_path_factory.mktemp("chain"), request.param)


@pytest.fixture(scope="session")
def replayed_shop(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    astronomy_file: Path,
    astronomy_requests: list[bytes],
) -> Iterator[ReplayedShop]:
    """The recorded shop in a live Prometheus, once for all tests that only look at it."""
    with running_processes(request.config) as started:
        folder = tmp_path_factory.mktemp("shop")
        yield replay_shop(started, folder, astronomy_file, astronomy_requests)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the end of each component's log to the report of a test that failed."""
    report = yield
    if report.failed:
        for started in item.config.stash.get(RUNNING, []):
            for process in started.running:
                report.sections.append((f"log of {process.name}", process.log_tail()))
    return report
