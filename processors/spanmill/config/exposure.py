"""Which listeners strangers reach, and what stands between."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from spanmill.config.endpoints import ListenAddress
from spanmill.config.model import Config
from spanmill.config.tls import ServerTlsConfig

_log = logging.getLogger(__name__)

_AUTHENTICATION: Final = "authentication"
_TLS: Final = "TLS"


@dataclass(frozen=True, slots=True)
class Exposure:
    """A listener beyond loopback (`key` is its path), and what it does without."""

    key: str
    address: ListenAddress
    lacks: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.key} ({self.address}) has no {' and no '.join(self.lacks)}"


def exposures(config: Config) -> Iterator[Exposure]:
    """The listeners beyond loopback without authentication (tokens or certificates) or TLS."""
    otlp, prometheus = config.receivers.otlp, config.exporters.prometheus
    has_tokens = otlp.auth is not None
    scrape_auth = prometheus.auth is not None and prometheus.auth.is_on
    for key, address, is_asked, tls in (
        *([("grpc", otlp.grpc.endpoint, has_tokens, otlp.grpc.tls)] if otlp.grpc else ()),
        *([("http", otlp.http.endpoint, has_tokens, otlp.http.tls)] if otlp.http else ()),
        ("", prometheus.endpoint, scrape_auth, prometheus.tls),
    ):
        lacks = tuple(_lacks(is_asked, tls))
        if lacks and not _is_loopback(address.host):
            path = f"receivers.otlp.{key}" if key else "exporters.prometheus"
            yield Exposure(f"{path}.endpoint", address, lacks)


def warn_of_exposures(config: Config) -> None:
    """Log one line for each."""
    for exposure in exposures(config):
        fields = {
            "key": exposure.key,
            "address": str(exposure.address),
            "without": ",".join(exposure.lacks),
        }
        _log.warning("listens beyond this host unprotected", extra=fields)


def _lacks(is_asked: bool, tls: ServerTlsConfig | None) -> Iterator[str]:
    if not is_asked and (tls is None or tls.client_ca_file is None):
        yield _AUTHENTICATION
    if tls is None:
        yield _TLS


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
