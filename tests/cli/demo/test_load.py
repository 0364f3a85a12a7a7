from __future__ import annotations

import asyncio
import random
from collections import Counter

import httpx

from spanmill.cli.demo.load import MIX, arrivals, next_visit


def test_visits_come_in_the_shares_of_the_mix() -> None:
    dice = random.Random(1)
    number = 5000
    counts = Counter(
        (method, "/products/{product}" if path.startswith("/products/") else path)
        for method, path in (next_visit(dice) for _ in range(number))
    )
    total = sum(visit.weight for visit in MIX)
    assert set(counts) == {(visit.method, visit.path) for visit in MIX}
    for visit in MIX:
        share = counts[(visit.method, visit.path)] / number
        assert abs(share - visit.weight / total) < 0.03


def test_arrivals_come_at_the_rate_and_all_are_answered_before_the_end() -> None:
    answered: list[str] = []
    waits: list[float] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        answered.append(request.url.path)
        return httpx.Response(503 if len(answered) % 2 else 200)

    async def wait(seconds: float) -> bool:
        waits.append(seconds)
        await asyncio.sleep(0)
        return len(waits) > 400

    async def run() -> None:
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(base_url="http://shop", transport=transport) as client:
            await arrivals(client, random.Random(1), 25.0, wait)

    asyncio.run(run())
    assert len(answered) == 400
    assert 0.03 < sum(waits) / len(waits) < 0.05


def test_a_storefront_that_is_gone_does_not_end_the_traffic() -> None:
    tried = []

    def refuse(request: httpx.Request) -> httpx.Response:
        tried.append(request.url.path)
        raise httpx.ConnectError("refused")

    async def wait(seconds: float) -> bool:
        await asyncio.sleep(0)
        return len(tried) >= 3

    async def run() -> None:
        transport = httpx.MockTransport(refuse)
        async with httpx.AsyncClient(base_url="http://shop", transport=transport) as client:
            await arrivals(client, random.Random(1), 25.0, wait)

    asyncio.run(run())
    assert len(tried) >= 3
