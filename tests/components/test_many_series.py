"""A family that is too large for one protobuf message, in a real Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from components.process import Processes, free_ports, wait_until
from components.prometheus import SCRAPE_FORMS, Prometheus, start_prometheus
from spanmill.clock import SystemClock
from spanmill.exporters.scrape import ScrapeApp
from spanmill.http_server import HttpServer
from spanmill.series.counter import CounterColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Family

pytestmark = pytest.mark.components

SERIES = 6_000
ARRIVAL_DEADLINE = 60.0
# For created stamps Prometheus's reader of OpenMetrics looks ahead from each series to the end of
# its family: in a large one without stamps that takes minutes.
FORMS = {form: SCRAPE_FORMS[form] for form in ("text", "protobuf")}


@pytest.fixture(scope="module")
def prometheus(
    processes: Processes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """One that scrapes 6,000 counters and histograms, protobuf messages being 100 KB at most."""
    registry = Registry(SystemClock())
    sets = registry.label_sets(("number",), SERIES, None)
    calls = CounterColumn(sets)
    latency = HistogramColumn(sets, [[1_000_000, 2_000_000]], native=True)
    registry.expose_values(Family("many_total", "counter", "M."), sets, calls)
    registry.expose_histogram(Family("many_seconds", "histogram", "M."), sets, latency, native=True)
    rows = sets.rows([(str(i),) for i in range(SERIES)], SystemClock().time_ns())
    calls.add(rows, np.arange(1, SERIES + 1, dtype=np.float64))
    latency.observe(
        rows, np.full(SERIES, 1_500_000, np.uint64), np.arange(1, SERIES + 1, dtype=np.float64)
    )
    app = ScrapeApp(registry, lambda: True, created_timestamps=False)
    server = HttpServer(app, "127.0.0.1", 0, "scrape endpoint")
    server.bind()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spanmill.exporters.exposition.protobuf.MESSAGE_BYTES", 100_000)
        server.start()
        (port,) = free_ports(1)
        folder: Path = tmp_path_factory.mktemp("many")
        yield start_prometheus(processes, folder, [server.endpoint], port, FORMS)
        server.stop(1)


@pytest.mark.parametrize("form", FORMS)
def test_prometheus_has_every_series_of_every_slice(prometheus: Prometheus, form: str) -> None:
    matcher = f'{{form="{form}"}}'
    wait_until(
        lambda: prometheus.scalar(f"count(many_total{matcher})") == SERIES,
        ARRIVAL_DEADLINE,
        "all counters",
    )
    total = SERIES * (SERIES + 1) / 2
    assert prometheus.scalar(f"sum(many_total{matcher})") == total
    assert prometheus.failed_scrapes() == []
    if form == "protobuf":
        counted = f"sum(histogram_count(many_seconds{matcher}))"
    else:
        counted = f"sum(many_seconds_count{matcher})"
    assert prometheus.scalar(counted) == total
