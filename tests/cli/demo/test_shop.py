from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable

import pytest

from spanmill.cli.demo.routing import Message, RoutedApp
from spanmill.cli.demo.shop import SERVICES, World, catalog, checkout, payment


class FakePeers:
    """Answers every call with a status and remembers it."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.calls: list[tuple[str, str, str]] = []
        self.statements: list[str] = []

    async def call(self, service: str, method: str, template: str, **values: str) -> int:
        template.format_map(values)  # every parameter of the template has a value
        self.calls.append((service, method, template))
        return self.status

    async def query(self, statement: str, work: Awaitable[None]) -> None:
        self.statements.append(statement)
        await work


class Slept:
    """A sleep that takes no time and remembers it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def world(peers: FakePeers, slept: Slept) -> World:
    return World(peers, random.Random(1), slept)


def status_of(app: RoutedApp, method: str, path: str) -> int:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "method": method, "path": path}, receive, send))
    status: int = sent[0]["status"]
    return status


def test_payment_fails_and_is_slow_only_when_told_so() -> None:
    slept = Slept()
    here = world(FakePeers(), slept)
    app = payment(here)
    well = [status_of(app, "POST", "/charges") for _ in range(200)]
    usual, slept.seconds = max(slept.seconds), []
    here.failing = True
    ill = [status_of(app, "POST", "/charges") for _ in range(200)]
    assert well.count(503) < 10
    assert 50 < ill.count(503) < 110
    assert min(slept.seconds) > usual


def test_a_charge_that_fails_fails_the_order() -> None:
    peers = FakePeers(status=503)
    assert status_of(checkout(world(peers, Slept())), "POST", "/orders") == 502


def test_some_searches_are_much_slower_than_the_others() -> None:
    slept = Slept()
    app = catalog(world(FakePeers(), slept))
    for _ in range(400):
        status_of(app, "GET", "/search")
    times = sorted(slept.seconds)
    assert times[-5] > 5 * times[len(times) // 2]


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_calls_only_the_peers_that_it_declares(service: object) -> None:
    declared = next(each for each in SERVICES if each is service)
    peers = FakePeers()
    app = declared.make_app(world(peers, Slept()))
    visits = [
        *(("GET", path) for path in ("/", "/products/p1", "/products", "/search", "/carts/c1")),
        *(("POST", path) for path in ("/cart/items", "/checkout", "/carts/c1/items")),
        *(("POST", path) for path in ("/orders", "/charges")),
    ]
    for method, path in visits:
        status_of(app, method, path)
    assert {called for called, _, _ in peers.calls} == set(declared.peers)


def test_every_call_meets_a_route_of_the_service_that_is_called() -> None:
    apps = {each.name: each.make_app(world(FakePeers(), Slept())) for each in SERVICES}
    peers = FakePeers()
    for service in SERVICES:
        app = service.make_app(world(peers, Slept()))
        for method, path in [
            ("GET", "/"),
            ("GET", "/products/p1"),
            ("GET", "/search"),
            ("POST", "/cart/items"),
            ("POST", "/checkout"),
            ("POST", "/carts/c1/items"),
            ("POST", "/orders"),
        ]:
            status_of(app, method, path)
    assert peers.calls
    for called, method, template in peers.calls:
        scope = {"type": "http", "method": method, "path": template.replace("{id}", "x")}
        assert apps[called].route_of(scope) == template


def test_both_otlp_transports_are_in_use() -> None:
    assert {service.protocol for service in SERVICES} == {"grpc", "http/protobuf"}
