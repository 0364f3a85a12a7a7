"""Processes for the tests against real components; their logs are shown when a test fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.process import Processes

_RUNNING = pytest.StashKey[list[Processes]]()


@pytest.fixture(scope="module")
def processes(request: pytest.FixtureRequest) -> Iterator[Processes]:
    """What one module's tests have started, stopped after the last of them."""
    kept = request.config.stash.setdefault(_RUNNING, [])
    started = Processes()
    kept.append(started)
    yield started
    kept.remove(started)
    started.stop()


@pytest.fixture(scope="module")
def work_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder for one module's configurations, data and logs."""
    return tmp_path_factory.mktemp("components")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    """Add the end of each component's log to the report of a test that failed."""
    report: pytest.TestReport = yield
    if report.failed:
        for started in item.config.stash.get(_RUNNING, []):
            for process in started.running:
                report.sections.append((f"log of {process.name}", process.log_tail()))
    return report
