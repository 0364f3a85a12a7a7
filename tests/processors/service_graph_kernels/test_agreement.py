"""The kernels and the reference agree in every edge, count and sum, whatever comes."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from processors.service_graph.observed import START, request, span
from processors.service_graph_kernels.both import SECOND, Both
from spanmill.kernels import load_kernel
from spanmill.spans.batch import SpanBatch
from spanmill.spans.installed import load_decoder

KERNELS = ("_columns", "_pairing")
pytestmark = pytest.mark.skipif(
    not all(load_kernel(f"spanmill.processors.service_graph.{name}") for name in KERNELS),
    reason="the kernels of the service graph are not built",
)

TRACES = st.integers(1, 2)
NUMBERS = st.integers(1, 9)
ATTRIBUTES = st.sampled_from(
    [
        {},
        {"peer.service": "bank"},
        {"peer.service": "", "server.address": "10.0.0.1"},
        {"db.system": "redis"},
        {"db.name": "", "server.address": "db-1"},
        {"messaging.system": "kafka"},
    ]
)
SPANS = st.builds(
    span,
    number=NUMBERS,
    kind=st.integers(0, 5),
    trace=TRACES,
    parent=st.integers(0, 9),
    failed=st.booleans(),
    duration=st.sampled_from([0, 1, 5_000_000, 10**10, 2**61]) | st.integers(0, 10**9),
    links=st.lists(st.tuples(TRACES, NUMBERS), max_size=4),
    attributes=ATTRIBUTES,
)
SENT = st.lists(st.tuples(st.sampled_from(["shop", "cart", "mail", ""]), SPANS), max_size=14)
WEIGHTS = st.sampled_from([1.0, 1.1, 3.7, 1000.3])


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[int, list[tuple[str, Span]], float]]:
    """Requests with the seconds that lie between them, now and then backwards."""
    steps = st.sampled_from([0, 0, 1, 10, 29, 30, 31, 100, -5])
    return draw(st.lists(st.tuples(steps, SENT, WEIGHTS), min_size=1, max_size=8))


@settings(max_examples=300)
@given(
    deliveries(),
    st.sampled_from([1, 2, 3, 5, 100_000]),
    st.booleans(),
    st.sampled_from([1, 2, 5_000]),
)
def test_any_requests_give_the_same(
    given_requests: list[tuple[int, list[tuple[str, Span]], float]],
    max_pending: int,
    user_root: bool,
    max_series: int,
) -> None:
    both = Both(max_pending=max_pending, user_root=user_root, max_series=max_series)
    at = START
    for seconds, sent, weight in given_requests:
        at += seconds * SECOND
        batch = both.compiled.decode(request(sent))
        weights = (weight + np.arange(len(batch)) * 0.1).astype(np.float64)
        both.observe(dataclasses.replace(batch, weight=weights), at)
        both.assert_same()
    both.tick(at + 31 * SECOND)
    both.expire(at + 31 * SECOND)
    both.assert_same()


def test_more_names_than_are_kept_give_the_same() -> None:
    both = Both(max_pending=300, max_series=50)
    for number in range(1, 4000, 40):
        one_request = [
            (f"shop-{i % 700}", span(i, 3, attributes={"peer.service": f"peer-{i % 900}"}))
            for i in range(number, number + 40)
        ]
        answers = [(f"cart-{i}", span(i, 2, trace=2, parent=i - 1)) for i in range(2, 6)]
        batch = both.compiled.decode(request(one_request + answers))
        both.observe(batch, START + number * SECOND // 100)
        if number % 1000 == 1:
            both.expire(START + number * SECOND // 100)
    both.tick(START + 1000 * SECOND)
    both.assert_same()


def batches(both: Both, requests: list[bytes]) -> list[SpanBatch]:
    return [both.compiled.decode(body) for body in requests]


def observed(requests: list[bytes], **limits: int) -> Both:
    both = Both(**limits)
    for i, batch in enumerate(batches(both, requests)):
        weights = (1 + np.arange(len(batch)) % 7 * 0.3).astype(np.float64)
        both.observe(dataclasses.replace(batch, weight=weights), START + i * SECOND // 10)
    both.tick(START + 10_000 * SECOND)
    return both


def test_the_recorded_shop_gives_the_same(astronomy_requests: list[bytes]) -> None:
    observed(astronomy_requests).assert_same()


def test_shuffled_and_delivered_twice_it_gives_the_same(astronomy_requests: list[bytes]) -> None:
    requests = astronomy_requests * 2
    random.Random(3).shuffle(requests)
    observed(requests).assert_same()


def test_in_one_request_it_gives_the_same(astronomy_requests: list[bytes]) -> None:
    observed([b"".join(astronomy_requests)]).assert_same()


def test_without_room_it_gives_the_same(astronomy_requests: list[bytes]) -> None:
    observed(astronomy_requests, max_pending=500, max_series=10).assert_same()


def test_links_are_found_whoever_decodes() -> None:
    sent = [
        ("shop", span(1, 4)),
        ("shop", span(2, 4)),
        ("mail", span(3, 5, links=[(1, 1), (1, 2)])),
        ("mail", span(4, 5, parent=2)),
    ]
    both = Both()
    decoder = load_decoder(both.compiled.processor.attributes)
    both.observe(decoder.decode(request(sent)).batch)
    both.assert_same()
    assert both.compiled.requests() == {("shop", "mail", "messaging_system"): 3}


def test_weights_of_servers_that_waited_are_added_up_in_the_same_order() -> None:
    both = Both()
    servers = [("cart", span(10 + i, 2, parent=1 + i % 3)) for i in range(60)]
    batch = both.compiled.decode(request(servers))
    weights = 1 + np.random.default_rng(5).uniform(0, 1e6, len(batch)) ** 3
    both.observe(dataclasses.replace(batch, weight=weights))
    both.observe(both.compiled.decode(request([("shop", span(i, 3)) for i in (1, 2, 3)])))
    assert len(both.compiled.requests()) == 1
    both.assert_same()
