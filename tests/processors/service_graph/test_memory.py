"""How long spans are remembered, and how many."""

from __future__ import annotations

import numpy as np

from processors.service_graph.observed import Observed, span
from processors.service_graph.plain_join import CLIENT, CONSUMER, SERVER
from spanmill.processors.service_graph.keys import span_keys, trace_hashes
from spanmill.processors.service_graph.names import NO_NAME, Names

SHOP_CART = ("shop", "cart", "")
SIDES = (("shop", span(1, CLIENT)), ("cart", span(2, SERVER, parent=1)))


def test_a_span_delivered_again_makes_no_second_edge() -> None:
    graph = Observed().observe(*SIDES, *SIDES).observe(*SIDES, at=10).observe(SIDES[1], at=29)
    assert graph.requests() == {SHOP_CART: 1}
    root = ("shop", span(5, SERVER))
    assert graph.observe(root, root).observe(root).requests()["user", "shop", "virtual_node"] == 1


def test_a_span_is_forgotten_after_wait() -> None:
    graph = Observed().observe(*SIDES).observe(*SIDES, at=30)
    assert graph.requests() == {SHOP_CART: 2}


def test_sides_further_apart_than_wait_do_not_meet() -> None:
    graph = Observed().observe(SIDES[0]).observe(SIDES[1], at=30).tick(60)
    assert graph.requests() == {}
    assert graph.unpaired() == {"no_server": 1, "no_client": 1}


def test_the_oldest_make_room_and_are_counted() -> None:
    graph = Observed(max_pending=2)
    graph.observe(*(("shop", span(number, CLIENT)) for number in range(1, 6)))
    graph.observe(*(("shop", span(number, SERVER, parent=50)) for number in range(6, 11)))
    assert graph.unpaired() == {"evicted": 8}
    assert graph.values("spanmill_service_graph_remembered_spans") == {(): 2}
    assert graph.values("spanmill_service_graph_waiting_ends") == {(): 2}


def test_nothing_stays_behind_of_spans_that_are_gone() -> None:
    graph = Observed(max_pending=3)
    for number in range(1, 60, 2):
        graph.observe(
            ("cart", span(number, SERVER, parent=number + 1)),
            ("mail", span(number, SERVER, trace=2, parent=99)),
            ("shop", span(number + 1, CLIENT)),
        )
    joining = graph.tick(60).processor._joining
    assert joining.remembered == joining.waiting == 0
    assert joining.keys == (0, 0)


def test_a_client_that_makes_room_names_its_peer_all_the_same() -> None:
    graph = Observed(max_pending=1)
    graph.observe(
        ("shop", span(1, CLIENT, attributes={"db.system": "redis"})), ("shop", span(2, CLIENT))
    )
    assert graph.requests() == {("shop", "redis", "database"): 1}


def test_a_consumer_with_more_links_than_may_wait_is_bounded_too() -> None:
    consumer = span(2, CONSUMER, links=[(1, number) for number in range(10, 60)])
    graph = Observed(max_pending=8).observe(("mail", consumer))
    assert graph.values("spanmill_service_graph_waiting_ends") == {(): 8}
    assert graph.unpaired() == {"evicted": 42}


def test_many_servers_that_wait_for_one_client_all_meet_it() -> None:
    servers = [("cart", span(number, SERVER, parent=1)) for number in range(2, 3000)]
    graph = Observed().observe(*servers[:1000]).observe(*servers[1000:]).observe(SIDES[0])
    assert graph.requests() == {SHOP_CART: 2998}


def test_a_clock_that_goes_back_loses_nothing() -> None:
    graph = Observed().observe(SIDES[0], at=100).observe(SIDES[1], at=0).tick(200)
    assert graph.requests() == {SHOP_CART: 1}


def test_edges_without_room_go_to_the_overflow_series() -> None:
    graph = Observed(max_series=1)
    graph.observe(*SIDES, ("shop", span(3, SERVER)), ("mail", span(4, SERVER)))
    family = graph.family("traces_service_graph_request_total")
    assert family is not None
    assert (("otel_metric_overflow", "true"),) in list(family.label_pairs())
    assert sum(graph.values("traces_service_graph_request_total").values()) == 3


def test_names_are_forgotten_with_the_spans_that_have_them() -> None:
    graph = Observed(max_pending=10)
    for number in range(1, 5000):
        one = span(number, CLIENT, attributes={"peer.service": f"peer-{number}"})
        graph.processor.observe(graph.decode_one(f"shop-{number}", one))
    assert len(graph.processor._names) <= 1024 + 2


def test_names_keep_their_meaning_when_others_are_forgotten() -> None:
    names = Names()
    codes = [names.code(name) for name in ("a", "b", "c")]
    renamed = names.keep(np.array([True, False, True]))
    assert [names[renamed[code]] for code in (codes[0], codes[2])] == ["a", "c"]
    assert renamed[NO_NAME] == NO_NAME
    assert renamed[codes[1]] == NO_NAME
    assert len(names) == 2


def test_keys_differ_for_ids_that_differ_in_one_bit() -> None:
    base = np.zeros(24, np.uint8)
    ids = np.array([base, *(np.packbits(row) for row in np.eye(192, dtype=np.uint8))])
    keys = span_keys(trace_hashes(ids[:, :16]), ids[:, 16:])
    assert len(set(keys.tolist())) == 193
    assert keys.min() >= 0
    assert keys.max() < 2**60
