"""The real Collector with the same label sets behind its Prometheus exporter."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from benchmarks.exposition.scraping import Scrape, scrape
from benchmarks.ingest.load import GrpcConnection
from benchmarks.ingest.process import MeasuredProcess
from benchmarks.ingest.targets import free_ports

HistogramKind = Literal["explicit", "exponential"]

_FLUSH_SECONDS: Final = 15
_MB: Final = 1_000_000
_HISTOGRAMS: Final[dict[HistogramKind, str]] = {
    "explicit": "explicit: {}",
    "exponential": "exponential: {max_size: 160}",
}
_CONFIG: Final = """\
extensions:
  health_check: {{endpoint: "127.0.0.1:{ready}"}}
receivers:
  otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{grpc}", max_recv_msg_size_mib: 64}}}}}}
connectors:
  span_metrics:
    histogram: {{unit: s, {histogram}}}
    metrics_flush_interval: {flush}s
exporters:
  prometheus: {{endpoint: "127.0.0.1:{scrape}", enable_open_metrics: true}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [span_metrics]}}
    metrics: {{receivers: [span_metrics], exporters: [prometheus]}}
"""


@dataclass(frozen=True, slots=True)
class CollectorScrape:
    """A scrape of the Collector, and its resident memory in MB before and at its peak."""

    scrape: Scrape
    rss: float
    peak_rss: float


class FilledCollector:
    """A Collector that has all spans, and has handed its metrics to the exporter."""

    def __init__(self, process: MeasuredProcess, url: str) -> None:
        self._process = process
        self._url = url

    def scraped(self, form: str, *, gzip: bool, timeout: float) -> CollectorScrape:
        """Scrape it once."""
        rss = self._process.resident_bytes() / _MB
        found = scrape(self._url, form, gzip=gzip, timeout=timeout)
        return CollectorScrape(found, rss, self._process.peak_resident_bytes() / _MB)


@contextmanager
def filled_collector(
    binary: Path, histogram: HistogramKind, requests: Iterable[bytes]
) -> Iterator[FilledCollector]:
    """A Collector that was sent all of these requests; it may use all CPUs."""
    ready, grpc, port = free_ports(3)
    with TemporaryDirectory() as folder:
        file = Path(folder, "collector.yaml")
        file.write_text(
            _CONFIG.format(
                ready=ready,
                grpc=grpc,
                scrape=port,
                flush=_FLUSH_SECONDS,
                histogram=_HISTOGRAMS[histogram],
            )
        )
        command = [str(binary), "--config", str(file)]
        process = MeasuredProcess(command, Path(folder, "log"), os.sched_getaffinity(0), {})
        try:
            process.wait_until_ready(f"http://127.0.0.1:{ready}/")
            connection = GrpcConnection(f"127.0.0.1:{grpc}", compressed=False)
            try:
                for body in requests:
                    connection.export(body)
            finally:
                connection.close()
            # The connector hands everything on at each flush, in one go.
            time.sleep(_FLUSH_SECONDS)
            process.wait_until_idle()
            yield FilledCollector(process, f"http://127.0.0.1:{port}/metrics")
        finally:
            process.stop()
