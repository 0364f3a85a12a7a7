"""Which spans make which edges, and what their figures are."""

from __future__ import annotations

import pytest

from processors.service_graph.observed import Observed, span
from processors.service_graph.plain_join import CLIENT, CONSUMER, PRODUCER, SERVER
from spanmill.series.snapshot import Histograms

SHOP_CART = ("shop", "cart", "")


def test_a_client_and_its_server_are_one_request() -> None:
    client, server = span(1, CLIENT, duration=9_000_000), span(2, SERVER, parent=1)
    graph = Observed().observe(("shop", client), ("cart", server))
    assert graph.requests() == {SHOP_CART: 1}
    assert graph.seconds("client") == {SHOP_CART: (1, 0.009)}
    assert graph.seconds("server") == {SHOP_CART: (1, 0.005)}


@pytest.mark.parametrize("turn", [1, -1])
def test_the_sides_come_in_any_order_in_requests_of_their_own(turn: int) -> None:
    sides = [("shop", span(1, CLIENT)), ("cart", span(2, SERVER, parent=1))][::turn]
    graph = Observed().observe(sides[0]).observe(sides[1], at=29)
    assert graph.requests() == {SHOP_CART: 1}


def test_labels_are_those_of_tempo_and_an_empty_one_is_left_out() -> None:
    graph = Observed().observe(("shop", span(1, CLIENT)), ("cart", span(2, SERVER, parent=1)))
    for name in ("total", "failed_total", "server_seconds", "client_seconds"):
        family = graph.family(f"traces_service_graph_request_{name}")
        assert family is not None
        assert list(family.label_pairs()) == [(("client", "shop"), ("server", "cart"))]


def test_durations_are_classic_and_native_histograms() -> None:
    client = span(1, CLIENT, duration=150_000_000)
    graph = Observed().observe(("shop", client), ("cart", span(2, SERVER, parent=1)))
    family = graph.family("traces_service_graph_request_client_seconds")
    assert family is not None
    assert isinstance(family.data, Histograms)
    assert family.data.bounds == (0.1, 0.2)
    assert family.data.bucket_counts.tolist() == [[0, 1, 0]]
    assert family.data.native is not None


@pytest.mark.parametrize("at", [[0, 0, 0], [0, 1, 2], [2, 0, 1], [1, 2, 0]])
def test_each_server_of_one_client_is_a_request(at: list[int]) -> None:
    sides = [
        ("shop", span(1, CLIENT)),
        ("cart", span(2, SERVER, parent=1)),
        ("mail", span(3, SERVER, parent=1)),
    ]
    graph = Observed()
    for second in range(3):
        graph.observe(*(side for side, when in zip(sides, at, strict=True) if when == second))
    graph.tick(60)
    assert graph.requests() == {SHOP_CART: 1, ("shop", "mail", ""): 1}
    assert graph.seconds("client")[SHOP_CART] == (1, 0.005)
    assert graph.unpaired() == {}


@pytest.mark.parametrize("failed", ["client", "server", "both"])
def test_a_request_failed_if_either_side_did(failed: str) -> None:
    graph = Observed().observe(
        ("shop", span(1, CLIENT, failed=failed != "server")),
        ("cart", span(2, SERVER, parent=1, failed=failed != "client")),
    )
    assert graph.failed() == {SHOP_CART: 1}


def test_a_service_that_calls_itself_has_an_edge_to_itself() -> None:
    graph = Observed().observe(("shop", span(1, CLIENT)), ("shop", span(2, SERVER, parent=1)))
    assert graph.requests() == {("shop", "shop", ""): 1}


def test_a_span_without_a_service_has_the_name_that_span_metrics_give_it() -> None:
    graph = Observed().observe(("", span(1, CLIENT)), ("cart", span(2, SERVER, parent=1)))
    assert graph.requests() == {("unknown_service", "cart", ""): 1}


def test_the_side_that_was_sampled_more_sparsely_weighs() -> None:
    graph = Observed().observe(("shop", span(1, CLIENT)), weight=4)
    graph.observe(("cart", span(2, SERVER, parent=1)), weight=2)
    assert graph.requests() == {SHOP_CART: 4}
    assert graph.seconds("server") == {SHOP_CART: (4, 0.02)}


def test_a_producer_and_its_consumer_are_joined_by_the_messaging_system() -> None:
    graph = Observed().observe(("shop", span(1, PRODUCER)), ("mail", span(2, CONSUMER, parent=1)))
    assert graph.requests() == {("shop", "mail", "messaging_system"): 1}


@pytest.mark.parametrize("turn", [1, -1])
def test_each_link_of_a_consumer_is_a_request(turn: int) -> None:
    consumer = span(9, CONSUMER, trace=7, links=[(1, 1), (2, 1), (2, 1)])
    producers = [("shop", span(1, PRODUCER, trace=1)), ("cart", span(1, PRODUCER, trace=2))]
    graph = Observed()
    for sides in [producers, [("mail", consumer)]][::turn]:
        graph.observe(*sides)
    graph.tick(60)
    assert graph.requests() == {
        ("shop", "mail", "messaging_system"): 1,
        ("cart", "mail", "messaging_system"): 1,
    }
    assert graph.unpaired() == {}


def test_a_producer_that_is_parent_and_link_is_one_request() -> None:
    consumer = span(2, CONSUMER, parent=1, links=[(1, 1)])
    graph = Observed().observe(("shop", span(1, PRODUCER)), ("mail", consumer)).tick(60)
    assert graph.requests() == {("shop", "mail", "messaging_system"): 1}


@pytest.mark.parametrize("turn", [1, -1])
def test_the_parent_of_a_linked_consumer_counts_only_as_a_producer(turn: int) -> None:
    poll = span(3, CLIENT, attributes={"messaging.system": "kafka"})
    consumer = span(2, CONSUMER, parent=3, links=[(5, 1)])
    sides = [("mail", poll), ("mail", consumer), ("shop", span(1, PRODUCER, trace=5))]
    graph = Observed()
    for side in sides[::turn]:
        graph.observe(side)
    graph.tick(60)
    assert graph.requests() == {
        ("shop", "mail", "messaging_system"): 1,
        ("mail", "kafka", "virtual_node"): 1,
    }
    assert graph.unpaired() == {}


def test_links_beyond_the_limit_are_counted() -> None:
    consumer = span(2, CONSUMER, links=[(1, number) for number in range(10, 210)])
    graph = Observed().observe(("mail", consumer)).tick(60)
    assert graph.unpaired() == {"too_many_links": 72, "no_client": 128}


@pytest.mark.parametrize(
    ("attributes", "edge"),
    [
        ({"peer.service": "bank"}, ("shop", "bank", "virtual_node")),
        ({"service.peer.name": "a", "peer.service": "b"}, ("shop", "a", "virtual_node")),
        ({"server.address": "10.0.0.1"}, ("shop", "10.0.0.1", "virtual_node")),
        ({"net.peer.name": "old"}, ("shop", "old", "virtual_node")),
        ({"peer.service": "", "server.address": "x"}, ("shop", "x", "virtual_node")),
        ({"db.system.name": "redis"}, ("shop", "redis", "database")),
        ({"db.system": "mysql", "db.name": "orders"}, ("shop", "orders", "database")),
        ({"db.system": "mysql", "server.address": "db-1"}, ("shop", "db-1", "database")),
    ],
)
def test_a_peer_that_sends_no_spans_becomes_a_node_after_wait(
    attributes: dict[str, str], edge: tuple[str, str, str]
) -> None:
    graph = Observed().observe(("shop", span(1, CLIENT, failed=True, attributes=attributes)))
    assert graph.tick(29).requests() == {}
    assert graph.tick(30).requests() == {edge: 1}
    assert graph.failed() == {edge: 1}
    assert graph.seconds("client") == graph.seconds("server") == {edge: (1, 0.005)}
    assert graph.unpaired() == {}


def test_a_client_with_a_server_makes_no_virtual_node() -> None:
    client = span(1, CLIENT, attributes={"server.address": "cart.local"})
    graph = Observed().observe(("shop", client), ("cart", span(2, SERVER, parent=1))).tick(60)
    assert graph.requests() == {SHOP_CART: 1}


def test_an_instrumented_database_is_one_edge() -> None:
    client = span(1, CLIENT, attributes={"db.system": "clickhouse"})
    graph = Observed().observe(("shop", client), ("ch", span(2, SERVER, parent=1))).tick(60)
    assert graph.requests() == {("shop", "ch", "database"): 1}


def test_a_root_server_is_called_by_a_user_at_once() -> None:
    graph = Observed().observe(("shop", span(1, SERVER)))
    edge = ("user", "shop", "virtual_node")
    assert graph.requests() == {edge: 1}
    assert graph.seconds("server") == {edge: (1, 0.005)}
    assert graph.seconds("client") == {edge: (0, 0)}, "nobody measured the user's side"


def test_without_user_root_it_is_counted_as_a_root() -> None:
    graph = Observed(user_root=False).observe(("shop", span(1, SERVER)))
    assert graph.requests() == {}
    assert graph.unpaired() == {"root": 1}


def test_a_consumer_that_names_no_producer_has_its_message_from_the_broker() -> None:
    consumer = span(1, CONSUMER, attributes={"messaging.system": "kafka"})
    graph = Observed().observe(("mail", consumer), ("mail", span(2, CONSUMER)))
    assert graph.requests() == {("kafka", "mail", "virtual_node"): 1}
    assert graph.unpaired() == {"no_client": 1}


def test_what_is_given_up_is_counted_by_reason() -> None:
    graph = Observed().observe(
        ("shop", span(1, CLIENT)),  # nobody answers, and it names no peer
        ("shop", span(2, SERVER, parent=99)),  # the parent never comes
        ("shop", span(3, SERVER, parent=2)),  # the parent is a server
        ("shop", span(4, kind=1, parent=2)),  # internal: no side of a call
    )
    assert graph.tick(30).unpaired() == {"no_server": 1, "no_client": 1, "not_a_client": 1}
    assert graph.requests() == {}


def test_a_span_that_is_its_own_parent_does_no_harm() -> None:
    graph = Observed().observe(
        ("shop", span(1, SERVER, parent=1)),
        ("shop", span(2, CLIENT, parent=2)),
        ("mail", span(3, CONSUMER, links=[(1, 3)])),
    )
    assert graph.tick(30).requests() == {}
    assert graph.unpaired() == {"not_a_client": 2, "no_server": 1}


def test_a_circle_of_parents_does_no_harm() -> None:
    circle = [span(1, SERVER, parent=3), span(2, CLIENT, parent=1), span(3, SERVER, parent=2)]
    graph = Observed().observe(*(("shop", one) for one in circle)).tick(30)
    assert graph.requests() == {("shop", "shop", ""): 1}
    assert graph.unpaired() == {"not_a_client": 1}
