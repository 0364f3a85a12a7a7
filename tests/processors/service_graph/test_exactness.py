"""On the real data the graph is what a plain join over all spans gives."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from processors.service_graph.observed import START, WAIT_NS, Observed, assert_same
from processors.service_graph.plain_join import Delivery, Graph, plain_join


def deliveries(requests: Iterable[bytes]) -> Iterator[Delivery]:
    for body in requests:
        for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
            attributes = resource_spans.resource.attributes
            name = next(a.value.string_value for a in attributes if a.key == "service.name")
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    yield START, name, span


def split(body: bytes, at_most: int) -> Iterator[bytes]:
    """The spans of a request in requests of at most so many."""
    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for begin in range(0, len(scope_spans.spans), at_most):
                smaller = ExportTraceServiceRequest()
                smaller_resource = smaller.resource_spans.add()
                smaller_resource.resource.CopyFrom(resource_spans.resource)
                spans = scope_spans.spans[begin : begin + at_most]
                smaller_resource.scope_spans.add().spans.extend(spans)
                yield smaller.SerializeToString()


@pytest.fixture(scope="module")
def expected(astronomy_requests: list[bytes]) -> Graph:
    graph = plain_join(deliveries(astronomy_requests), WAIT_NS)
    assert sum(edge.requests for edge in graph.edges.values()) == 27_678
    return graph


def observed(requests: Iterable[bytes]) -> Observed:
    graph = Observed()
    for body in requests:
        graph.observe_batch(graph.decode(body))
    return graph.tick(31)


def test_requests_as_recorded(astronomy_requests: list[bytes], expected: Graph) -> None:
    assert_same(observed(astronomy_requests), expected)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_requests_in_any_order(astronomy_requests: list[bytes], expected: Graph, seed: int) -> None:
    requests = list(astronomy_requests)
    random.Random(seed).shuffle(requests)
    assert_same(observed(requests), expected)


@pytest.mark.parametrize("at_most", [1, 7, 100])
def test_spans_in_smaller_requests_in_any_order(
    astronomy_requests: list[bytes], expected: Graph, at_most: int
) -> None:
    # A request for each span takes long: only the small ones among the recorded are split.
    recorded = sorted(astronomy_requests, key=len)
    few = {1: 100, 7: 300}.get(at_most, len(recorded))
    requests = [part for body in recorded[:few] for part in split(body, at_most)]
    requests += recorded[few:]
    random.Random(at_most).shuffle(requests)
    assert_same(observed(requests), expected)


def test_all_spans_in_one_batch(astronomy_requests: list[bytes], expected: Graph) -> None:
    assert_same(observed([b"".join(astronomy_requests)]), expected)


def test_every_request_delivered_twice(astronomy_requests: list[bytes], expected: Graph) -> None:
    requests = astronomy_requests * 2
    random.Random(4).shuffle(requests)
    assert_same(observed(requests), expected)
