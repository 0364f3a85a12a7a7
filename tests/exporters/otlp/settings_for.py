"""Settings of a destination, as short as a test wants them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from spanmill.config.endpoints import Protocol, parse_destination
from spanmill.exporters.otlp.settings import (
    DestinationSettings,
    RetrySettings,
    TlsSettings,
)
from spanmill.exporters.otlp.signals import TRACES, OtlpSignal

MIB = 1 << 20
NEVER = RetrySettings(initial_interval=1e6, max_interval=1e6, multiplier=1.0)
QUICK = RetrySettings(initial_interval=0.002, max_interval=0.01, multiplier=2.0)


def settings_for(
    endpoint: int | str,
    protocol: Protocol = "http/protobuf",
    *,
    name: str = "tempo",
    signal: OtlpSignal = TRACES,
    headers: Mapping[str, str] | None = None,
    compression: Literal["none", "gzip"] = "none",
    timeout: float = 20.0,
    max_request_bytes: int = 4 * MIB,
    max_backlog: int = 64 * MIB,
    max_in_flight: int = 1,
    retry: RetrySettings = QUICK,
    tls: TlsSettings | None = None,
) -> DestinationSettings:
    """Settings for an endpoint, or for a port on this machine."""
    url = f"http://127.0.0.1:{endpoint}" if isinstance(endpoint, int) else endpoint
    return DestinationSettings(
        name=name,
        signal=signal,
        endpoint=parse_destination(url, protocol, has_tls=tls is not None),
        protocol=protocol,
        max_request_bytes=max_request_bytes,
        max_backlog=max_backlog,
        max_in_flight=max_in_flight,
        headers=headers or {},
        compression=compression,
        timeout=timeout,
        retry=retry,
        tls=tls or TlsSettings(),
        user_agent="spanmill/test",
    )
