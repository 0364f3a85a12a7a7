from __future__ import annotations

import asyncio

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from spanmill_instrumentation import Telemetry, TelemetrySettings, instrument_app
from spanmill_instrumentation.asgi import AsgiApp, Message, Receive, RouteOf, Scope, Send


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    status = 500 if scope["path"] == "/broken" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


class RoutedApp:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)

    def route_of(self, scope: Scope) -> str | None:
        return "/products/{id}" if scope["path"].startswith("/products/") else None


class Recorded:
    """An in-memory telemetry and the spans of the requests sent through an app."""

    def __init__(self, app: AsgiApp, route_of: RouteOf | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        telemetry = Telemetry(TelemetrySettings(enabled=True), provider)
        self.app = instrument_app(app, route_of=route_of, telemetry=telemetry)

    def get(self, path: str, method: str = "GET") -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b""}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": []}

        async def request() -> None:
            await self.app(scope, receive, send)

        asyncio.run(request())
        return sent


def test_a_request_is_one_span_named_by_its_route() -> None:
    recorded = Recorded(RoutedApp())
    sent = recorded.get("/products/7")
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    (span,) = recorded.exporter.get_finished_spans()
    assert span.name == "GET /products/{id}"
    assert span.kind is SpanKind.SERVER
    assert span.attributes is not None
    assert span.attributes["http.route"] == "/products/{id}"


def test_without_a_route_the_method_names_the_span() -> None:
    recorded = Recorded(RoutedApp())
    recorded.get("/secret-token-in-the-path")
    (span,) = recorded.exporter.get_finished_spans()
    assert span.name == "GET"
    assert span.attributes is not None
    assert "http.route" not in span.attributes


def test_an_unknown_method_does_not_become_a_name() -> None:
    recorded = Recorded(hello)
    recorded.get("/", method="BREW-7f3a")
    (span,) = recorded.exporter.get_finished_spans()
    assert span.name == "HTTP"


def test_a_server_error_marks_the_span() -> None:
    recorded = Recorded(hello)
    recorded.get("/broken")
    (span,) = recorded.exporter.get_finished_spans()
    assert span.status.status_code.name == "ERROR"


def test_a_failing_route_function_costs_the_route_and_not_the_request() -> None:
    def broken(scope: Scope) -> str | None:
        raise KeyError("route")

    recorded = Recorded(hello, route_of=broken)
    sent = recorded.get("/")
    assert sent[0]["status"] == 200
    (span,) = recorded.exporter.get_finished_spans()
    assert span.name == "GET"


def test_switched_off_the_application_itself_comes_back() -> None:
    app = RoutedApp()
    assert instrument_app(app, telemetry=Telemetry(TelemetrySettings())) is app
