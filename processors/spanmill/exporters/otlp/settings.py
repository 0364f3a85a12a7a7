"""What one destination is told; the configuration has the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from spanmill.config.endpoints import Destination, Protocol
from spanmill.exporters.otlp.signals import OtlpSignal


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """Pauses between attempts: intervals in seconds, each `multiplier` times the one before."""

    initial_interval: float
    max_interval: float
    multiplier: float


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """PEM files: who is trusted (the system's authorities without one), and who we are."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class DestinationSettings:
    """One destination: `timeout` in seconds for a whole request, sizes in bytes, uncompressed."""

    name: str
    signal: OtlpSignal
    endpoint: Destination
    protocol: Protocol
    headers: Mapping[str, str] = field(repr=False)  # may hold credentials
    compression: Literal["none", "gzip"]
    timeout: float
    max_request_bytes: int
    max_backlog: int
    retry: RetrySettings
    tls: TlsSettings
    user_agent: str
    max_in_flight: int = 1
    required: bool = False
