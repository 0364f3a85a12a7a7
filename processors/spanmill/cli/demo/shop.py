"""The shop: five services, how long their work takes, and where it goes wrong."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from spanmill.cli.demo.incident import FAILURE_RATIO, SLOW_SECONDS
from spanmill.cli.demo.routing import Response, Route, RoutedApp

OtlpProtocol = Literal["grpc", "http/protobuf"]
Parameters = Mapping[str, str]


class Peers(Protocol):
    """What a service calls: the other services, and its database."""

    async def call(self, service: str, method: str, template: str, **values: str) -> int:
        """The status of a call to another service; 503 if it can't be reached in time."""
        ...

    async def query(self, statement: str, work: Awaitable[None]) -> None:
        """Run a statement on the database, which takes as long as `work`."""
        ...


@dataclass(slots=True)
class World:
    """What the services' behaviour hangs on. `failing` is set from outside while payment fails."""

    peers: Peers
    random: random.Random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    failing: bool = False

    async def work(self, median: float, spread: float = 0.35) -> None:
        """Take a log-normal time with this median in seconds, at most ten times as long."""
        seconds = median * math.exp(self.random.gauss(0.0, spread))
        await self.sleep(min(seconds, 10 * median))

    def happens(self, probability: float) -> bool:
        """Throw the dice."""
        return self.random.random() < probability


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the shop: whom it calls, how it emits its spans, and its application."""

    name: str
    peers: tuple[str, ...]
    protocol: OtlpProtocol
    make_app: Callable[[World], RoutedApp]


def storefront(world: World) -> RoutedApp:
    """The pages; all traffic comes in here."""

    async def home(_: Parameters) -> Response:
        await world.work(0.004)
        return _page(await world.peers.call("catalog", "GET", "/products"))

    async def product(parameters: Parameters) -> Response:
        await world.work(0.003)
        return _page(await world.peers.call("catalog", "GET", "/products/{id}", **parameters))

    async def search(_: Parameters) -> Response:
        await world.work(0.003)
        return _page(await world.peers.call("catalog", "GET", "/search"))

    async def add_to_cart(_: Parameters) -> Response:
        await world.work(0.003)
        return _page(await world.peers.call("cart", "POST", "/carts/{id}/items", id="c1"))

    async def buy(_: Parameters) -> Response:
        await world.work(0.006)
        return _page(await world.peers.call("checkout", "POST", "/orders"))

    return RoutedApp(
        [
            Route("GET", "/", home),
            Route("GET", "/products/{id}", product),
            Route("GET", "/search", search),
            Route("POST", "/cart/items", add_to_cart),
            Route("POST", "/checkout", buy),
        ]
    )


def catalog(world: World) -> RoutedApp:
    """The products in a database; one search in twenty misses the index and is slow."""

    async def products(_: Parameters) -> Response:
        await world.peers.query("SELECT products", world.work(0.012))
        return Response(200, {"products": 24})

    async def product(parameters: Parameters) -> Response:
        await world.peers.query("SELECT products", world.work(0.006))
        if world.happens(0.01):
            return Response(500, {"error": "the row is not readable"})
        return Response(200, {"product": parameters["id"]})

    async def search(_: Parameters) -> Response:
        slow = world.happens(0.05)
        await world.peers.query("SELECT search_index", world.work(0.45 if slow else 0.035))
        return Response(200, {"products": 3})

    return RoutedApp(
        [
            Route("GET", "/products", products),
            Route("GET", "/products/{id}", product),
            Route("GET", "/search", search),
        ]
    )


def cart(world: World) -> RoutedApp:
    """The carts; the price of what goes in comes from the catalog."""

    async def read(parameters: Parameters) -> Response:
        await world.work(0.005)
        return Response(200, {"cart": parameters["id"]})

    async def add(parameters: Parameters) -> Response:
        await world.work(0.008)
        status = await world.peers.call("catalog", "GET", "/products/{id}", id="p1")
        return Response(201 if status < 500 else 502, {"cart": parameters["id"]})

    return RoutedApp([Route("GET", "/carts/{id}", read), Route("POST", "/carts/{id}/items", add)])


def checkout(world: World) -> RoutedApp:
    """Turns a cart into a paid order."""

    async def order(_: Parameters) -> Response:
        await world.work(0.010)
        if await world.peers.call("cart", "GET", "/carts/{id}", id="c1") >= 500:
            return Response(502, {"error": "no cart"})
        if await world.peers.call("payment", "POST", "/charges") >= 500:
            return Response(502, {"error": "not paid"})
        await world.peers.query("INSERT orders", world.work(0.009))
        return Response(201, {"order": "o1"})

    return RoutedApp([Route("POST", "/orders", order)])


def payment(world: World) -> RoutedApp:
    """Charges a card; the one that fails on purpose."""

    async def charge(_: Parameters) -> Response:
        await world.work(SLOW_SECONDS if world.failing else 0.040)
        if world.happens(FAILURE_RATIO if world.failing else 0.005):
            return Response(503, {"error": "the card network does not answer"})
        return Response(201, {"charge": "ch1"})

    return RoutedApp([Route("POST", "/charges", charge)])


def _page(status: int) -> Response:
    return Response(200 if status < 500 else 502, {"page": "ok" if status < 500 else "sorry"})


# In the order of a request's way through the shop. Both OTLP transports are in use.
SERVICES: tuple[Service, ...] = (
    Service("storefront", ("catalog", "cart", "checkout"), "http/protobuf", storefront),
    Service("checkout", ("cart", "payment"), "grpc", checkout),
    Service("payment", (), "http/protobuf", payment),
    Service("cart", ("catalog",), "grpc", cart),
    Service("catalog", (), "grpc", catalog),
)
