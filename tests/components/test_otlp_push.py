"""What is derived, pushed over OTLP into real backends: the same as by scrape."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3

from components.process import Processes, answers, free_ports, running_processes, wait_until
from components.processor import Spanmill, replay, start_spanmill
from components.prometheus import Prometheus, start_prometheus
from components.pushed_metrics import (
    INSTANCE,
    Content,
    config_file,
    content,
    exemplars,
    exposed,
    http_push,
    own,
    start_collector,
    start_receiving,
)
from components.shop import Shop

pytestmark = pytest.mark.components

ARRIVAL_DEADLINE = 60.0
FORMS = ("native", "classic")
HAS_BOTH_FORMS = (
    "traces_spanmetrics_latency",
    "traces_service_graph_request_server_seconds",
    "traces_service_graph_request_client_seconds",
)
PUSHED = {
    "traces_spanmetrics_calls_total",
    "traces_spanmetrics_size_total",
    "traces_span_metrics_calls_total",
    "traces_span_metrics_duration_milliseconds_bucket",
    "traces_span_metrics_duration_milliseconds_sum",
    "traces_span_metrics_duration_milliseconds_count",
    "traces_target_info",
    "traces_service_graph_request_total",
    "traces_service_graph_request_failed_total",
    "spanmill_latency_seconds",
    "spanmill_spans_received_total",
    "spanmill_spans_accepted_total",
    "spanmill_series",
    "spanmill_series_limit",
    "spanmill_build_info",
    "spanmill_ack_duration_seconds_bucket",
}


@dataclass(frozen=True)
class Backends:
    """spanmill after all recorded spans, and whoever gets what it derives."""

    shop: Shop
    spanmill: Spanmill
    scraped: Prometheus
    pushed: Mapping[str, Prometheus]
    collector: str


@pytest.fixture(scope="module")
def backends(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    astronomy_file: Path,
    astronomy_requests: list[bytes],
) -> Iterator[Backends]:
    folder = tmp_path_factory.mktemp("push")
    with running_processes(request.config) as processes:
        ports = free_ports(2)
        pushed = {
            form: start_receiving(processes, own(folder, form), port)
            for form, port in zip(FORMS, ports, strict=True)
        }
        collector_grpc, collector_scrape = start_collector(processes, own(folder, "collector"))
        spanmill = start_spanmill(
            processes,
            own(folder, "spanmill"),
            config_file(
                folder,
                {
                    **{form: http_push(each, histograms=form) for form, each in pushed.items()},
                    "collector": {
                        "endpoint": collector_grpc,
                        "protocol": "grpc",
                        "histograms": "classic",
                        "interval": "1s",
                        "instance_id": INSTANCE,
                    },
                },
            ),
            {},
        )
        (port,) = free_ports(1)
        scraped = start_prometheus(
            processes, own(folder, "prometheus"), [spanmill.scrape], port, forms={}
        )
        shop = Shop(astronomy_requests)
        replay(astronomy_file, spanmill.grpc)

        def all_there() -> bool:
            return all(
                each.scalar("sum(traces_spanmetrics_calls_total)") >= len(shop.spans)
                for each in (scraped, *pushed.values())
            )

        wait_until(all_there, ARRIVAL_DEADLINE, "every Prometheus has every span")
        yield Backends(shop, spanmill, scraped, pushed, collector_scrape)


def of_form(scraped: Content, form: str) -> Content:
    """What one form of histograms leaves of a scrape that has both."""
    parts = tuple(
        f"{name}_{part}" for name in HAS_BOTH_FORMS for part in ("bucket", "sum", "count")
    )
    left_out = parts if form == "native" else HAS_BOTH_FORMS
    return {of: value for of, value in scraped.items() if dict(of)["__name__"] not in left_out}


def compare(pushed: Callable[[], Content], scraped: Callable[[], Content]) -> Content:
    """Wait until both are equal; fail with some of what differs."""
    left: Content = {}
    right: Content = {}

    def equal() -> bool:
        nonlocal left, right
        left, right = pushed(), scraped()
        return left == right

    try:
        wait_until(equal, ARRIVAL_DEADLINE, "the push and the scrape are equal")
    except TimeoutError:
        differing = [(of, left[of], right[of]) for of in left.keys() & right.keys()]
        assert {
            "only pushed": sorted(left.keys() - right.keys())[:5],
            "only scraped": sorted(right.keys() - left.keys())[:5],
            "different": sorted(each for each in differing if each[1] != each[2])[:5],
        } == {"only pushed": [], "only scraped": [], "different": []}
    return left


@pytest.mark.parametrize("form", FORMS)
def test_prometheus_has_the_same_series_and_values_as_by_scrape(
    backends: Backends, form: str
) -> None:
    pushed = compare(
        lambda: content(backends.pushed[form], backends.spanmill),
        lambda: of_form(content(backends.scraped, backends.spanmill), form),
    )
    assert PUSHED - {dict(of)["__name__"] for of in pushed} == set()
    assert len(pushed) > 1000


def test_the_moving_metrics_are_pushed_too(backends: Backends) -> None:
    native = backends.pushed["native"]
    names = native.metric_names('{job="spanmill"}')
    assert {
        "process_cpu_seconds_total",
        "spanmill_push_total",
        "spanmill_export_duration_seconds_bucket",
        "spanmill_journal_bytes",
        "spanmill_checkpoint_age_seconds",
    } <= names
    pushes = native.by("exporter", 'spanmill_push_total{outcome="delivered"}')
    assert pushes.keys() == {"native", "classic", "collector"}
    assert min(pushes.values()) > 0
    lost = native.scalar('sum(spanmill_push_total{outcome!="delivered"})')
    assert lost == 0


def test_this_process_is_named_and_no_one_else(backends: Backends) -> None:
    for prometheus in backends.pushed.values():
        own = prometheus.query("spanmill_build_info")
        assert [(dict(of)["job"], dict(of)["instance"]) for of in own] == [("spanmill", INSTANCE)]
        assert prometheus.query("target_info") == {}
        assert prometheus.query('{__name__=~".*_ratio_ratio|.*_total_total"}') == {}


@pytest.mark.parametrize(
    "metric",
    [
        "traces_spanmetrics_calls_total",
        "traces_span_metrics_duration_milliseconds_count",
        "traces_service_graph_request_total",
    ],
)
def test_a_series_begins_at_0_at_its_created_stamp(backends: Backends, metric: str) -> None:
    prometheus = backends.pushed["native"]
    series = prometheus.scalar(f"count({metric})")
    assert prometheus.scalar(f"count(min_over_time({metric}[1h]) == 0)") == series > 0


@pytest.mark.parametrize("form", FORMS)
def test_exemplars_are_those_of_the_scrape(backends: Backends, form: str) -> None:
    durations = {(span.service, span.nanoseconds / 1e9) for span in backends.shop.spans}
    pushed = exemplars(backends.pushed[form], "" if form == "native" else "_bucket")
    for each in pushed:
        assert (each.service, each.value) in durations
        assert each.value <= each.bound
    traces = {each.ids for each in pushed}
    assert traces & {each.ids for each in exemplars(backends.scraped, "_bucket")}
    assert {(len(trace), len(span)) for trace, span in traces} == {(32, 16)}


def test_the_collector_shows_the_same_over_grpc(backends: Backends) -> None:
    shown = compare(
        lambda: exposed(backends.collector),
        lambda: exposed(f"http://{backends.spanmill.scrape}/metrics"),
    )
    assert PUSHED - {dict(of)["__name__"] for of in shown} == set()


def test_what_expires_here_is_stale_there_at_once(
    processes: Processes, tmp_path: Path, astronomy_requests: list[bytes]
) -> None:
    (port,) = free_ports(1)
    prometheus = start_receiving(processes, own(tmp_path, "prometheus"), port)
    config = config_file(
        tmp_path,
        {"prometheus": http_push(prometheus)},
        span_metrics={"idle_timeout": "1s"},
    )
    spanmill = start_spanmill(processes, own(tmp_path, "spanmill"), config, {})
    send(spanmill, astronomy_requests[0])
    expiring = (
        "traces_spanmetrics_calls_total",
        "traces_spanmetrics_latency",
        "traces_span_metrics_duration_milliseconds_bucket",
        "traces_target_info",
    )

    def there(metric: str) -> bool:
        return not math.isnan(prometheus.scalar(f"count({metric})"))

    # Seen in the last minute, as they may have expired between a push and a look at it.
    wait_until(
        lambda: all(there(f"last_over_time({metric}[1m])") for metric in expiring),
        ARRIVAL_DEADLINE,
        "the series are there",
    )
    # Without a mark they would be shown for five minutes.
    wait_until(lambda: not any(map(there, expiring)), ARRIVAL_DEADLINE, "the series are gone")
    assert there("spanmill_build_info")


def test_the_last_values_are_pushed_at_the_stop(
    processes: Processes, tmp_path: Path, astronomy_requests: list[bytes]
) -> None:
    (port,) = free_ports(1)
    prometheus = start_receiving(processes, own(tmp_path, "prometheus"), port)
    config = config_file(tmp_path, {"prometheus": http_push(prometheus, interval="100h")})
    spanmill = start_spanmill(processes, own(tmp_path, "spanmill"), config, {})
    for body in astronomy_requests[:5]:
        send(spanmill, body)
    spanmill.process.popen.send_signal(signal.SIGTERM)
    assert spanmill.process.popen.wait(ARRIVAL_DEADLINE) == 0
    sent = len(Shop(astronomy_requests[:5]).spans)
    assert prometheus.scalar("sum(traces_spanmetrics_calls_total)") == sent
    assert prometheus.scalar('spanmill_spans_received_total{outcome="accepted"}') == sent
    assert not answers(f"http://{spanmill.scrape}/healthz")


def send(spanmill: Spanmill, body: bytes) -> None:
    answer = urllib3.request(
        "POST",
        f"http://{spanmill.http}/v1/traces",
        body=body,
        headers={"Content-Type": "application/x-protobuf"},
    )
    assert answer.status == 200
