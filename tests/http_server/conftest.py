from __future__ import annotations

from collections.abc import Iterator

import pytest

from http_server.connections import Serve, echo
from spanmill.http_server import HttpServer


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that are stopped after the test."""
    servers = []

    def start(app: object = echo, **options: object) -> HttpServer:
        server = HttpServer(app, "127.0.0.1", 0, "test server", **options)  # type: ignore[arg-type] # whatever the test hands on
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop(1)
