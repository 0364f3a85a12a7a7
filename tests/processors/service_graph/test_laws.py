"""Order, splits and retries change nothing; time decides as a plain join does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from processors.service_graph.observed import SECOND, START, WAIT_NS, Observed, assert_same, span
from processors.service_graph.plain_join import (
    CLIENT,
    CONSUMER,
    PRODUCER,
    SERVER,
    Delivery,
    plain_join,
)

TRACES = st.integers(1, 2)
NUMBERS = st.integers(1, 7)
SERVICES = st.sampled_from(["shop", "cart", "mail"])
PEERS = st.sampled_from(
    [
        {},
        {},
        {"peer.service": "bank"},
        {"peer.service": "", "server.address": "10.0.0.1"},
        {"db.system": "redis"},
        {"db.name": "orders", "server.address": "db-1"},
        {"messaging.system": "kafka"},
    ]
)


@st.composite
def spans(draw: st.DrawFn) -> list[tuple[str, Span]]:
    """Spans of few traces with few ids, so that they meet; parents can be anything."""
    ids = draw(st.lists(st.tuples(TRACES, NUMBERS), min_size=1, max_size=14, unique=True))
    return [
        (
            draw(SERVICES),
            span(
                number,
                draw(st.integers(0, 5)),
                trace=trace,
                parent=draw(st.integers(0, 7)),
                failed=draw(st.booleans()),
                duration=draw(st.integers(0, 10**10)),
                links=draw(st.lists(st.tuples(TRACES, NUMBERS), max_size=3)),
                attributes=draw(PEERS),
            ),
        )
        for trace, number in ids
    ]


@given(st.data())
def test_any_order_split_and_repetition_gives_the_plain_join(data: st.DataObject) -> None:
    given_spans = data.draw(spans())
    repeated = given_spans + data.draw(st.lists(st.sampled_from(given_spans), max_size=5))
    ordered = data.draw(st.permutations(repeated))
    cuts = data.draw(st.lists(st.integers(0, len(ordered)), max_size=5))
    observed = Observed()
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(ordered)], strict=True):
        observed.observe(*ordered[begin:end])
    expected = plain_join([(START, *one) for one in given_spans], WAIT_NS)
    assert_same(observed.tick(31), expected)


@given(st.data())
def test_sides_pair_where_less_than_wait_lies_between_them(data: st.DataObject) -> None:
    given_spans = data.draw(spans())
    seconds = st.integers(0, 100)
    many = len(given_spans)
    times = sorted(data.draw(st.lists(seconds, min_size=many, max_size=many)))
    deliveries: list[Delivery] = [
        (START + at * SECOND, *one) for at, one in zip(times, given_spans, strict=True)
    ]
    ticks = data.draw(st.booleans())
    observed = Observed()
    for delivery in deliveries:
        if ticks:
            observed.tick((delivery[0] - START) / SECOND)
        observed.deliver([delivery])
    assert_same(observed.tick(1000), plain_join(deliveries, WAIT_NS))


@given(spans(), st.integers(1, 6))
def test_where_there_is_no_room_each_side_is_an_edge_or_counted(
    given_spans: list[tuple[str, Span]], limit: int
) -> None:
    for _, one in given_spans:
        del one.links[:]
    observed = Observed(max_pending=limit).observe(*given_spans).tick(31)
    requests = observed.requests()
    servers = sum(one.kind in (SERVER, CONSUMER) for _, one in given_spans)
    clients = sum(one.kind in (CLIENT, PRODUCER) for _, one in given_spans)
    # A server is one of both, once. A client is so too, unless it is part of a server's edge.
    outcomes = sum(requests.values()) + sum(observed.unpaired().values())
    assert servers <= outcomes <= servers + clients
    exact = plain_join([(START, *one) for one in given_spans], WAIT_NS)
    for (client, server, kind), n in requests.items():
        if kind in ("", "messaging_system"):
            assert n <= exact.edges[client, server, kind].requests
