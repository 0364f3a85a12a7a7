"""The shop's customers: requests at random moments, at a steady average rate."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx

RATE = 25.0  # requests a second
_IN_FLIGHT = 64  # customers at most; those who come on top go away, and the shop recovers
_TIMEOUT = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Visit:
    """One kind of request and its share of the traffic."""

    weight: float
    method: str
    path: str


MIX: tuple[Visit, ...] = (
    Visit(18, "GET", "/"),
    Visit(36, "GET", "/products/{product}"),
    Visit(18, "GET", "/search"),
    Visit(16, "POST", "/cart/items"),
    Visit(12, "POST", "/checkout"),
)


def next_visit(dice: random.Random) -> tuple[str, str]:
    """Method and path of one request."""
    (visit,) = dice.choices(MIX, weights=[visit.weight for visit in MIX])
    return visit.method, visit.path.format(product=f"p{dice.randrange(200)}")


class Load:
    """A thread that sends the traffic to the storefront until it is stopped."""

    def __init__(self, url: str, dice: random.Random, rate: float = RATE) -> None:
        self._url = url
        self._dice = dice
        self._rate = rate
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def start(self) -> None:
        """Let the customers in."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Close the door and wait at most `timeout` seconds for those who are inside."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._customers())
        self._loop.close()

    async def _customers(self) -> None:
        limits = httpx.Limits(max_connections=_IN_FLIGHT)
        async with httpx.AsyncClient(
            base_url=self._url, timeout=_TIMEOUT, limits=limits, trust_env=False
        ) as client:
            await arrivals(client, self._dice, self._rate, self._wait)

    async def _wait(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return False
        return True


async def arrivals(
    client: httpx.AsyncClient,
    dice: random.Random,
    rate: float,
    wait: Callable[[float], Awaitable[bool]],
) -> None:
    """Send requests as a Poisson process until `wait(seconds)` says that it is over."""
    inside: set[asyncio.Task[None]] = set()
    while not await wait(dice.expovariate(rate)):
        if len(inside) < _IN_FLIGHT:
            task = asyncio.create_task(_visit(client, *next_visit(dice)))
            inside.add(task)
            task.add_done_callback(inside.discard)
    await asyncio.gather(*inside)


async def _visit(client: httpx.AsyncClient, method: str, path: str) -> None:
    with suppress(httpx.TransportError):  # the storefront is gone: the screen says so
        await client.request(method, path)
