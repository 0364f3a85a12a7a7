"""Traces from an ASGI service, switched on by one variable."""

from __future__ import annotations

from spanmill_instrumentation.asgi import instrument_app
from spanmill_instrumentation.settings import TelemetrySettings
from spanmill_instrumentation.telemetry import Telemetry, configure

__all__ = ["Telemetry", "TelemetrySettings", "configure", "instrument_app"]
