"""The scrape endpoint's server, as the configuration wants it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from spanmill.clock import Clock
from spanmill.config.model import PrometheusConfig
from spanmill.exporters.scrape import ScrapeApp
from spanmill.exporters.scrape_access import scrape_access
from spanmill.http_server import HttpServer
from spanmill.http_server.tls import contexts_of
from spanmill.series.registry import Registry

_KEY: Final = "exporters.prometheus.tls"


def build_scrape_server(
    config: PrometheusConfig,
    registry: Registry,
    clock: Clock,
    *,
    ready: Callable[[], bool],
    restored: Callable[[], bool],
) -> HttpServer:
    """A server that isn't bound yet. Raises StartError where a file can't be used."""
    app = ScrapeApp(
        registry,
        ready,
        config.created_timestamps,
        restored,
        scrape_access(config.auth, clock),
    )
    return HttpServer(
        app,
        config.endpoint.host,
        config.endpoint.port,
        "scrape endpoint",
        contexts=contexts_of(config.tls, clock, _KEY),
    )
