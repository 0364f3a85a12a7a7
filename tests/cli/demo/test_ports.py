from __future__ import annotations

from spanmill.cli.demo.ports import GRPC, HTTP, METRICS, Endpoints, choose_ports, listen, port_of


def test_a_port_that_is_free_is_used() -> None:
    with listen() as listener:
        number = port_of(listener)
    assert choose_ports({GRPC: number}) == {GRPC: number}


def test_a_port_that_is_taken_is_replaced_by_a_free_one() -> None:
    with listen() as taken:
        number = port_of(taken)
        chosen = choose_ports({GRPC: number})[GRPC]
    assert chosen != number
    with listen(chosen) as usable:
        assert port_of(usable) == chosen


def test_one_port_is_not_chosen_for_two_purposes() -> None:
    with listen() as taken:
        number = port_of(taken)
        chosen = choose_ports({GRPC: number, HTTP: number, METRICS: number})
    assert len(set(chosen.values())) == 3


def test_the_addresses_are_those_of_the_ports() -> None:
    endpoints = Endpoints.on({GRPC: 1, HTTP: 2, METRICS: 3})
    assert endpoints == Endpoints(
        grpc="http://127.0.0.1:1",
        http="http://127.0.0.1:2",
        scrape="http://127.0.0.1:3/metrics",
        ready="http://127.0.0.1:3/readyz",
    )
