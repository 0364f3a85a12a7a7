"""Which services are told to be always late."""

from __future__ import annotations

import logging

import pytest

from spanmill.series.window_lateness import LateServices

SECOND = 10**9
WINDOW = 300 * SECOND
LINE = "every span of a service is too late for the window"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "spanmill.series.window_lateness")
    return caplog


def late_for(
    services: LateServices, seconds: int, *names: str, begin: int = 0, in_time: int | None = None
) -> list[int]:
    """Late spans every 10 s; the spans at the second `in_time` are not."""
    reports = []
    for second in range(begin, begin + seconds + 1, 10):
        here = set(names)
        on_time = here if second == in_time else set[str]()
        services.observe(here - on_time, on_time, second * SECOND)
        reports.append(services.report(second * SECOND))
    return reports


def test_a_service_is_reported_once_all_its_spans_were_late_for_a_window(
    lines: pytest.LogCaptureFixture,
) -> None:
    services = LateServices("percentiles", WINDOW)
    reports = late_for(services, 400, "slow", "slower")
    assert reports[:30] == [0] * 30
    assert reports[30:] == [2] * 11
    (first, second) = lines.records
    assert first.message == second.message == LINE
    fields = {(vars(r)["service"], vars(r)["processor"]) for r in lines.records}
    assert fields == {("slow", "percentiles"), ("slower", "percentiles")}


def test_a_span_in_time_takes_it_back(lines: pytest.LogCaptureFixture) -> None:
    services = LateServices("percentiles", WINDOW)
    assert set(late_for(services, 590, "slow", in_time=290)) == {0}
    assert not lines.records
    assert services.report(600 * SECOND) == 0


def test_the_line_comes_once_an_hour(lines: pytest.LogCaptureFixture) -> None:
    late_for(LateServices("percentiles", WINDOW), 3 * 3600 + 10, "slow")
    assert len(lines.records) == 3


def test_a_service_that_is_gone_is_not_late(lines: pytest.LogCaptureFixture) -> None:
    services = LateServices("percentiles", WINDOW)
    late_for(services, 300, "slow")
    assert services.report(600 * SECOND) == 1
    assert services.report(601 * SECOND) == 0
    assert not services.watches()


def test_no_more_than_a_thousand_are_watched() -> None:
    services = LateServices("percentiles", WINDOW)
    names = [f"s{i}" for i in range(5_000)]
    assert max(late_for(services, 310, *names)) == 1_000
