"""Bad input that would show at the scrape endpoint: in a whole processor, in every form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import urllib3
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from client_model import labels_of, read_delimited
from points import otlp_metrics
from receivers.clients import JSON, PROTOBUF, Client, GrpcClient, HttpClient
from receivers.otlp_requests import good_body, request, span
from receivers.sent_signals import METRICS_ONLY, SentSignal
from running_processor import RunningProcessor

Labels = dict[str, str]

CALLS = ("traces_spanmetrics_calls_total", "traces_span_metrics_calls_total")
"""The counters of both dialects, whose labels for a service have different names."""

FORMS = {
    "text": "text/plain;version=0.0.4",
    "openmetrics": "application/openmetrics-text;version=1.0.0",
    "protobuf": "application/vnd.google.protobuf;"
    "proto=io.prometheus.client.MetricFamily;encoding=delimited",
}


@pytest.fixture
def processor() -> Iterator[RunningProcessor]:
    """A processor with the attribute `a.b` for its only dimension, and span names as sent."""
    span_metrics = {"dimensions": ["a.b"], "normalize_span_names": False}
    processor = RunningProcessor({"span_metrics": span_metrics})
    yield processor
    processor.close()


@pytest.fixture
def client(processor: RunningProcessor, transport: str, signal: SentSignal) -> Iterator[Client]:
    """A client of that processor over each transport in turn."""
    client: Client
    if transport == "grpc":
        client = GrpcClient(processor.ports["grpc"], signal)
    else:
        media_type = JSON if transport == "http-json" else PROTOBUF
        client = HttpClient(processor.ports["http"], media_type, signal)
    yield client
    client.close()


def scraped(processor: RunningProcessor, accept: str) -> urllib3.BaseHTTPResponse:
    url = f"http://127.0.0.1:{processor.ports['scrape']}/metrics"
    return urllib3.request("GET", url, headers={"Accept": accept}, timeout=20)


def calls(processor: RunningProcessor, form: str) -> list[Labels]:
    """The label sets of the counters of calls, as a reader of this form finds them."""
    return label_sets(processor, form, CALLS)


def label_sets(processor: RunningProcessor, form: str, names: Sequence[str]) -> list[Labels]:
    """The label sets of the samples of these names, as a reader of this form finds them."""
    response = scraped(processor, FORMS[form])
    assert response.headers["content-type"].startswith(FORMS[form].partition(";")[0])
    if form == "protobuf":
        families = read_delimited(response.data)
        return [labels_of(metric) for f in families if f.name in names for metric in f.metric]
    read = parser if form == "text" else openmetrics_parser
    return [
        sample.labels
        for family in read.text_string_to_metric_families(response.data.decode())
        for sample in family.samples
        if sample.name in names
    ]


def attribute(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


VALUES = {
    "quotes": """ "'" """,
    "backslashes": "C:\\new\\",
    "newlines": "a\nb\r\n",
    "right-to-left marks": "\u202egpj.exe\u200f",
    "a closing brace": '"} 1\nup 0\n',
    "a NUL": "a\0b",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_bad_input_24_label_values_are_read_back_as_they_were(
    processor: RunningProcessor, client: Client, value: str
) -> None:
    body = request(span(value, attributes=[attribute("a.b", value)]), service=value)

    assert client.send(body.SerializeToString()).ok

    for form in FORMS:
        tempo, otel = calls(processor, form)
        assert (tempo["service"], tempo["span_name"], tempo["a_b"]) == (value, value, value), form
        assert (otel["service_name"], otel["span_name"], otel["a_b"]) == (value, value, value), form


@pytest.mark.parametrize("order", [1, -1])
def test_bad_input_25_a_key_that_only_looks_like_a_dimension_is_none(
    processor: RunningProcessor, client: Client, order: int
) -> None:
    attributes = [attribute("a.b", "right"), attribute("a_b", "wrong"), attribute("a-b", "wrong")]

    assert client.send(request(span(attributes=attributes[::order])).SerializeToString()).ok
    assert client.send(request(span(attributes=attributes[1:])).SerializeToString()).ok

    for form in FORMS:
        assert [labels.get("a_b") for labels in calls(processor, form)] == ["right", None] * 2


def test_bad_input_26_attributes_with_the_names_of_reserved_labels_become_no_labels(
    processor: RunningProcessor, client: Client
) -> None:
    reserved = ("le", "quantile", "__name__", "job", "instance", "service", "span_name")
    attributes = [attribute(key, "wrong") for key in reserved]

    assert client.send(request(span(attributes=attributes)).SerializeToString()).ok

    for form in FORMS:
        for labels in calls(processor, form):
            assert "wrong" not in labels.values()
            assert labels["span_name"] == "GET /"


@METRICS_ONLY
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_bad_input_24_values_of_points_are_read_back_as_they_were(
    processor: RunningProcessor, client: Client, value: str
) -> None:
    point = otlp_metrics.number(1, attributes={"a.b": value})
    body = otlp_metrics.request(otlp_metrics.gauge(point), resource={"service.name": value})

    assert client.send(body).ok

    for form in FORMS:
        (labels,) = label_sets(processor, form, ["g"])
        assert (labels["job"], labels["a_b"]) == (value, value), form


@METRICS_ONLY
@pytest.mark.parametrize("order", [1, -1])
def test_bad_input_25_keys_of_a_point_that_are_one_label_are_joined(
    processor: RunningProcessor, client: Client, order: int
) -> None:
    keys = {"a.b": "first", "a_b": "second"}
    attributes = dict(list(keys.items())[::order])
    point = otlp_metrics.number(1, attributes=attributes)

    assert client.send(otlp_metrics.request(otlp_metrics.gauge(point))).ok

    for form in FORMS:
        (labels,) = label_sets(processor, form, ["g"])
        assert labels["a_b"] == "first;second"


@METRICS_ONLY
def test_bad_input_26_reserved_names_on_a_point_break_no_scrape(
    processor: RunningProcessor, client: Client
) -> None:
    reserved = ("le", "quantile", "__name__", "job", "instance")
    attributes = dict.fromkeys(reserved, "wrong")
    bad = (
        otlp_metrics.histogram(otlp_metrics.buckets([1.0], [1, 2], attributes=attributes)),
        otlp_metrics.gauge(otlp_metrics.number(1, attributes=attributes)),
    )

    assert client.send(otlp_metrics.request(*bad)).ok

    for form in FORMS:
        (labels,) = label_sets(processor, form, ["g"])
        assert labels["job"] == "shop"
        assert "__name__" not in labels
        for found in label_sets(processor, form, ["h_bucket"]):
            assert found["le"] in ("1.0", "+Inf")


ACCEPT = {
    "one long range": "a" * 100_000,
    "many ranges": "text/html;level=1;q=0.5," * 4_000,
    "nothing but commas": "," * 100_000,
    "many parameters": "text/plain" + ";a=b" * 25_000,
}


@pytest.mark.parametrize("accept", ACCEPT.values(), ids=ACCEPT)
def test_bad_input_40_an_accept_header_of_100_kb_gets_the_text(
    processor: RunningProcessor, accept: str
) -> None:
    neighbour = GrpcClient(processor.ports["grpc"])
    assert neighbour.send(good_body()).ok

    response = scraped(processor, accept)

    assert response.status == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"traces_spanmetrics_calls_total{" in response.data
    assert neighbour.send(good_body()).ok
    neighbour.close()


def test_bad_input_40_an_accept_header_without_an_end_is_refused(
    processor: RunningProcessor,
) -> None:
    assert scraped(processor, "a" * 300_000).status == 431
    assert scraped(processor, FORMS["text"]).status == 200
