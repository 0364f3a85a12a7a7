"""A tiny ASGI application: a table of routes with templates such as `/products/{id}`."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

HEALTH_PATH = "/healthz"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Response:
    """A status code and a body that becomes JSON."""

    status: int
    body: Mapping[str, object]


Handler = Callable[[Mapping[str, str]], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method, a path template, and the coroutine that answers, given the path's parameters."""

    method: str
    template: str
    handler: Handler


class RoutedApp:
    """An ASGI application over its routes and a health page.

    `route_of` tells the instrumentation the template.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        routes = [*routes, Route("GET", HEALTH_PATH, _healthy)]
        self._routes = [(route, _pattern(route.template)) for route in routes]

    def route_of(self, scope: Scope) -> str | None:
        """The template that the request's path fits."""
        found = self._find(scope)
        return None if found is None else found[0].template

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"no {scope['type']} here")
        found = self._find(scope)
        if found is None:
            response = Response(404, {"error": "no such page"})
        else:
            route, parameters = found
            response = await route.handler(parameters)
        body = json.dumps(response.body).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _find(self, scope: Scope) -> tuple[Route, Mapping[str, str]] | None:
        for route, pattern in self._routes:
            match = pattern.fullmatch(scope["path"])
            if match is not None and route.method == scope["method"]:
                return route, match.groupdict()
        return None


async def _healthy(_: Mapping[str, str]) -> Response:
    return Response(200, {"status": "ok"})


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"{(\w+)}", template)  # text and names of parameters in turn
    return re.compile(
        "".join(
            f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part)
            for index, part in enumerate(parts)
        )
    )
