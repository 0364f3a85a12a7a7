from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest

from spanmill.cli.demo.routing import Message, Response, Route, RoutedApp


async def echo(parameters: Mapping[str, str]) -> Response:
    return Response(201, dict(parameters))


APP = RoutedApp([Route("GET", "/products/{id}", echo), Route("POST", "/carts/{id}/items", echo)])


def request(method: str, path: str) -> tuple[int, object]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(APP({"type": "http", "method": method, "path": path}, receive, send))
    start, body = sent
    return start["status"], json.loads(body["body"])


def test_a_handler_gets_the_parameters_of_the_path() -> None:
    assert request("GET", "/products/p1") == (201, {"id": "p1"})


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/products/a/b"), ("POST", "/products/p1"), ("GET", "/productsXp1")],
)
def test_what_fits_no_route_is_not_found(method: str, path: str) -> None:
    status, _ = request(method, path)
    assert status == 404


def test_every_application_has_a_health_page() -> None:
    assert request("GET", "/healthz") == (200, {"status": "ok"})


def test_the_template_of_a_request_is_told() -> None:
    scope = {"type": "http", "method": "POST", "path": "/carts/7/items"}
    assert APP.route_of(scope) == "/carts/{id}/items"
    assert APP.route_of({"type": "http", "method": "GET", "path": "/nowhere"}) is None
