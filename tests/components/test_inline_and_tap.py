"""What happens to spans in the path and beside it, when a spanmill or a Collector is down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
import yaml
from prometheus_client.parser import text_string_to_metric_families

from components.collector import Collector, start_collector
from components.gateway import send
from components.process import Process, Processes, free_ports, wait_until
from components.processor import SPANMILL
from components.shipped import COLLECTOR_CONFIG, load_yaml
from components.shop import Shop
from components.span_sink import SpanSink, span_sink

pytestmark = pytest.mark.components

ARRIVAL_DEADLINE = 60.0
REQUESTS = 20


@pytest.fixture(scope="module")
def requests(astronomy_requests: list[bytes]) -> list[bytes]:
    """A few of the recorded requests."""
    return astronomy_requests[:REQUESTS]


@pytest.fixture
def sink() -> Iterator[SpanSink]:
    with span_sink() as listening:
        yield listening


class Place:
    """A spanmill that can come and go at one address; its one destination, if any, is a sink."""

    def __init__(self, processes: Processes, folder: Path) -> None:
        grpc, http, scrape = free_ports(3)
        self.grpc = f"127.0.0.1:{grpc}"
        self._metrics = f"http://127.0.0.1:{scrape}/metrics"
        self._env = {
            "SPANMILL_GRPC_ENDPOINT": self.grpc,
            "SPANMILL_HTTP_ENDPOINT": f"127.0.0.1:{http}",
            "SPANMILL_SCRAPE_ENDPOINT": f"127.0.0.1:{scrape}",
        }
        self._ready = f"http://127.0.0.1:{scrape}/readyz"
        self._processes = processes
        self._folder = folder

    def start(self, tempo: str | None) -> None:
        """Start it in the path to `tempo`, or beside the path where there is none."""
        path = self._folder / "spanmill.yaml"
        if tempo is None:
            path.write_text((COLLECTOR_CONFIG / "spanmill-tap.yaml").read_text())
        else:
            config = load_yaml(COLLECTOR_CONFIG / "spanmill.yaml")
            del config["exporters"]["otlp_traces"]["jaeger"]
            path.write_text(yaml.safe_dump(config))
            self._env["TEMPO_OTLP_ENDPOINT"] = tempo
        self._processes.start(
            [*SPANMILL, "run", "--config", path], self._folder, self._ready, self._env
        )

    def calls(self) -> float:
        """The spans that it has counted."""
        page = urllib3.request("GET", self._metrics, timeout=10.0).data.decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == "traces_spanmetrics_calls_total"
        )


@pytest.fixture
def spanmill(processes: Processes, tmp_path: Path) -> Place:
    folder = tmp_path / "spanmill"
    folder.mkdir()
    return Place(processes, folder)


def start_inline(processes: Processes, folder: Path, spanmill: Place, attempt: int) -> Collector:
    own = folder / f"collector-{attempt}"
    own.mkdir()
    storage = {"COLLECTOR_STORAGE": str(folder / "storage")}
    env = {"SPANMILL_ENDPOINT": spanmill.grpc, **storage}
    return start_collector(processes, own, "inline.yaml", env)


def kill(process: Process) -> None:
    process.popen.kill()
    process.popen.wait()


def all_once(requests: list[bytes], sink: SpanSink) -> bool:
    came = sink.came()
    return len(came) == len(Shop(requests).spans) and set(came.values()) == {1}


def test_in_the_path_spans_outlive_a_spanmill_and_a_collector_that_are_down(
    processes: Processes, tmp_path: Path, spanmill: Place, sink: SpanSink, requests: list[bytes]
) -> None:
    collector = start_inline(processes, tmp_path, spanmill, 1)
    send(requests, f"http://{collector.http}/v1/traces")
    kill(collector.process)
    assert sink.came() == Counter()

    spanmill.start(tempo=sink.endpoint)
    start_inline(processes, tmp_path, spanmill, 2)
    wait_until(lambda: all_once(requests, sink), ARRIVAL_DEADLINE, "every span has arrived once")
    assert spanmill.calls() == len(Shop(requests).spans)


def start_tap(processes: Processes, folder: Path, spanmill: Place, sink: SpanSink) -> Collector:
    own = folder / "collector"
    own.mkdir()
    env = {"SPANMILL_ENDPOINT": spanmill.grpc, "TEMPO_OTLP_ENDPOINT": sink.endpoint}
    return start_collector(processes, own, "tap.yaml", env)


def test_beside_the_path_a_copy_of_every_span_is_counted(
    processes: Processes, tmp_path: Path, spanmill: Place, sink: SpanSink, requests: list[bytes]
) -> None:
    spanmill.start(tempo=None)
    collector = start_tap(processes, tmp_path, spanmill, sink)
    send(requests, f"http://{collector.http}/v1/traces")
    wait_until(lambda: all_once(requests, sink), ARRIVAL_DEADLINE, "every span has arrived once")
    spans = len(Shop(requests).spans)
    wait_until(lambda: spanmill.calls() == spans, ARRIVAL_DEADLINE, "every span is counted")


def test_beside_the_path_no_trace_waits_for_a_spanmill_that_is_down(
    processes: Processes, tmp_path: Path, spanmill: Place, sink: SpanSink, requests: list[bytes]
) -> None:
    collector = start_tap(processes, tmp_path, spanmill, sink)
    send(requests, f"http://{collector.http}/v1/traces")
    wait_until(lambda: all_once(requests, sink), ARRIVAL_DEADLINE, "every span has arrived once")
