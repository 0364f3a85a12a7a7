"""An ASGI application with one server span a request."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from spanmill_instrumentation.telemetry import Telemetry, configure

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

_log = logging.getLogger(__name__)

_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
RouteOf = Callable[[Scope], str | None]


def instrument_app(
    app: AsgiApp,
    *,
    route_of: RouteOf | None = None,
    telemetry: Telemetry | None = None,
) -> AsgiApp:
    """Wrap `app` so that each request is one span `METHOD route`; never raises.

    `route_of` gives the route template of a scope (`/products/{id}`), or None; without it the
    application's own method `route_of` is asked, where it has one. A span without a route is named
    by the method alone, as a path would make a series of each value. Without `telemetry` the
    environment decides (`configure`). Off: `app` itself comes back. URLs that
    OTEL_PYTHON_ASGI_EXCLUDED_URLS or OTEL_PYTHON_EXCLUDED_URLS match have no span.
    """
    telemetry = configure() if telemetry is None else telemetry
    if not telemetry.active:
        return app
    try:
        return _wrapped(app, route_of or getattr(app, "route_of", None), telemetry)
    # An application that can't be wrapped serves on without spans.
    except Exception as error:  # noqa: BLE001
        _log.warning("[tracing] the application has no spans: %s: %s", type(error).__name__, error)
        return app


def _wrapped(app: AsgiApp, route_of: RouteOf | None, telemetry: Telemetry) -> AsgiApp:
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.util.http import get_excluded_urls

    def span_details(scope: Scope) -> tuple[str, dict[str, AttributeValue]]:
        return name_and_route(scope, route_of)

    middleware: AsgiApp = OpenTelemetryMiddleware(
        app,
        excluded_urls=get_excluded_urls("ASGI"),
        default_span_details=span_details,
        tracer_provider=telemetry.provider,
        exclude_spans=["send", "receive"],
    )
    return middleware


def name_and_route(scope: Scope, route_of: RouteOf | None) -> tuple[str, dict[str, AttributeValue]]:
    """The span's name and its `http.route` attribute for a request's scope."""
    method = str(scope.get("method") or scope["type"])
    if scope["type"] == "http" and method not in _METHODS:
        method = "HTTP"  # the conventions' name: a method is the client's own text
    route = None
    if route_of is not None:
        try:
            route = route_of(scope)
        # The application's code: its mistake costs the route, not the request.
        except Exception as error:  # noqa: BLE001
            _log.debug("[tracing] no route: %s: %s", type(error).__name__, error)
    if route is None:
        return method, {}
    return f"{method} {route}", {"http.route": route}
