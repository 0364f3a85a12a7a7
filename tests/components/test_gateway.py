"""Metrics from every span before a tail sampler, and the right traces after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from components.gateway import Gateway, TailSampling, Traces, send, start_gateway
from components.process import running_processes, wait_until
from components.shipped import COLLECTOR_CONFIG, load_yaml
from components.shop import Shop, labels_of
from components.span_sink import span_sink

ARRIVAL_DEADLINE = 120.0


@dataclass(frozen=True)
class Sampled:
    """What was sent through the gateway, and how often each span id of a trace came out."""

    gateway: Gateway
    shop: Shop
    traces: Traces
    came: dict[bytes, list[bytes]]


@pytest.fixture(scope="module")
def sampled(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    astronomy_requests: list[bytes],
) -> Iterator[Sampled]:
    """The gateway after all recorded spans have passed it."""
    shop, traces = Shop(astronomy_requests), Traces(astronomy_requests)
    with running_processes(request.config) as started, span_sink() as sink:
        gateway = start_gateway(started, tmp_path_factory.mktemp("gateway"), sink.endpoint)
        send(astronomy_requests, gateway.traces_url)

        def total(metric: str) -> float:
            return gateway.prometheus.scalar(f"sum({metric})")

        def all_counted() -> bool:
            return total("traces_spanmetrics_calls_total") >= len(shop.spans)

        def all_handed_on() -> bool:
            delivered = total('spanmill_export_spans_total{outcome="delivered"}')
            return delivered >= len(shop.spans)

        wait_until(all_counted, ARRIVAL_DEADLINE, "Prometheus shows every span")
        wait_until(all_handed_on, ARRIVAL_DEADLINE, "the samplers have every span")
        gateway.stop_samplers()
        came: dict[bytes, list[bytes]] = defaultdict(list)
        for (trace_id, span_id), times in sink.came().items():
            came[trace_id] += [span_id] * times
        yield Sampled(gateway, shop, traces, dict(came))


def test_spanmill_repeats_the_rule_of_the_sampler() -> None:
    rule = TailSampling.shipped()
    exemplars = load_yaml(COLLECTOR_CONFIG / "spanmill-gateway.yaml")["exemplars"]
    assert exemplars == {"kept_ratio": rule.ratio, "hash_salt": rule.salt}


@pytest.mark.components
def test_every_span_is_counted(sampled: Sampled) -> None:
    fields = ("service", "name", "kind", "status")
    counted = sampled.gateway.prometheus.query(
        "sum by (service, span_name, span_kind, status_code) (traces_spanmetrics_calls_total)"
    )
    labels = ("service", "span_name", "span_kind", "status_code")
    calls = sampled.shop.calls(fields, lambda span: True)
    assert counted == {
        labels_of(**dict(zip(labels, key, strict=True))): count for key, count in calls.items()
    }


@pytest.mark.components
def test_each_spanmill_has_its_share(sampled: Sampled) -> None:
    shares = sampled.gateway.prometheus.by(
        "instance", "sum by (instance) (traces_spanmetrics_calls_total)"
    )
    assert shares.keys() == {each.scrape for each in sampled.gateway.spanmills}
    assert min(shares.values()) > len(sampled.shop.spans) / 4


@pytest.mark.components
def test_every_trace_with_an_error_is_kept(sampled: Sampled) -> None:
    assert sampled.traces.failed
    assert sampled.traces.failed - sampled.came.keys() == set()


@pytest.mark.components
def test_of_the_others_exactly_those_are_kept_that_the_rule_names(sampled: Sampled) -> None:
    rule = TailSampling.shipped()
    others = sampled.traces.spans.keys() - sampled.traces.failed
    kept = {trace_id for trace_id in others if rule.keeps(trace_id)}
    assert sampled.came.keys() - sampled.traces.failed == kept
    assert len(kept) / len(others) == pytest.approx(rule.ratio, rel=0.1)


@pytest.mark.components
def test_a_kept_trace_is_whole_and_comes_once(sampled: Sampled) -> None:
    sent = {trace_id: sorted(sampled.traces.spans[trace_id]) for trace_id in sampled.came}
    assert {trace_id: sorted(spans) for trace_id, spans in sampled.came.items()} == sent


@pytest.mark.components
def test_jaeger_has_the_traces_that_were_kept(sampled: Sampled) -> None:
    rule = TailSampling.shipped()
    others = sorted(sampled.traces.spans.keys() - sampled.traces.failed)
    dropped = next(trace_id for trace_id in others if not rule.keeps(trace_id))
    kept = [min(sampled.traces.failed), next(each for each in others if rule.keeps(each))]
    jaeger = sampled.gateway.jaeger
    for trace_id in kept:
        wait_until(lambda: jaeger.trace(trace_id.hex()), ARRIVAL_DEADLINE, "Jaeger has the trace")  # noqa: B023 - waited for in this very turn
    assert jaeger.trace(dropped.hex()) is None


@pytest.mark.components
def test_exemplars_prefer_traces_that_were_kept(sampled: Sampled) -> None:
    parse: Any = text_string_to_metric_families  # it has no types
    named = [
        bytes.fromhex(sample.exemplar.labels["trace_id"])
        for spanmill in sampled.gateway.spanmills
        for family in parse(openmetrics(spanmill.scrape))
        for sample in family.samples
        if sample.exemplar
    ]
    kept = sum(trace_id in sampled.came for trace_id in named) / len(named)
    # Not all: in many buckets no trace was kept.
    assert kept > 2 * len(sampled.came) / len(sampled.traces.spans)


def openmetrics(scrape: str) -> str:
    accept = {"Accept": "application/openmetrics-text;version=1.0.0"}
    return urllib3.request("GET", f"http://{scrape}/metrics", headers=accept).data.decode()
