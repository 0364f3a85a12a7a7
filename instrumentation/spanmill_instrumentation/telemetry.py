"""Telemetry on or off, and its end under a deadline."""

from __future__ import annotations

import atexit
import logging
import threading
from typing import TYPE_CHECKING

from spanmill_instrumentation.settings import TelemetrySettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from spanmill_instrumentation.sdk import DeadlineBatchSpanProcessor

_log = logging.getLogger(__name__)
_INSTALL = "pip install spanmill-instrumentation"


class Telemetry:
    """The running telemetry of this process, or a switched-off one with the same methods."""

    def __init__(
        self,
        settings: TelemetrySettings,
        provider: TracerProvider | None = None,
        processor: DeadlineBatchSpanProcessor | None = None,
    ) -> None:
        self.settings = settings
        self.provider = provider
        self._processor = processor

    @property
    def active(self) -> bool:
        """Whether spans are recorded."""
        return self.provider is not None

    def force_flush(self, timeout: float = 2.0) -> bool:
        """Export what has ended by now; True if that was done within `timeout` seconds."""
        provider = self.provider
        if provider is None:
            return True
        # The SDK ignores the timeout of a flush: the wait is ours.
        flush = threading.Thread(target=provider.force_flush, daemon=True)
        flush.start()
        flush.join(timeout)
        return not flush.is_alive()

    def shutdown(self, timeout: float = 2.0) -> bool:
        """Export what has ended and stop, within `timeout` seconds; a second call does nothing."""
        provider, processor = self.provider, self._processor
        self.provider = self._processor = None
        if provider is None or processor is None:
            return True
        finished = processor.shutdown_within(timeout)
        provider.shutdown()
        return finished


def configure(settings: TelemetrySettings | None = None) -> Telemetry:
    """Start tracing if TRACING_ENABLED says so; never raises.

    Traces only: metrics follow once the processor receives them. Off or absent, nothing of
    OpenTelemetry is imported and no thread starts. Where something has set up OpenTelemetry's SDK
    already, that is kept and used. What the exporter still holds at exit is sent within 2 s.
    """
    settings = TelemetrySettings.from_env() if settings is None else settings
    for problem in settings.problems:
        _log.warning("[tracing] %s", problem)
    if not settings.enabled:
        return Telemetry(settings)
    try:
        return _start(settings)
    except ImportError as error:
        _log.warning("[tracing] off: %s; install it with: %s", error, _INSTALL)
    # Whatever is wrong with the telemetry, the service that asked for it runs on.
    except Exception as error:  # noqa: BLE001
        _log.warning("[tracing] off: %s: %s", type(error).__name__, error)
    return Telemetry(settings)


def _start(settings: TelemetrySettings) -> Telemetry:
    from spanmill_instrumentation import sdk

    provider = sdk.started_provider()
    if provider is not None:
        _log.debug("[tracing] OpenTelemetry SDK was started before, kept")
        return Telemetry(settings, provider)
    provider, processor = sdk.start(settings)
    telemetry = Telemetry(settings, provider, processor)
    atexit.register(telemetry.shutdown)
    fields = {
        "endpoint": settings.endpoint,
        "service": str(provider.resource.attributes["service.name"]),
        "sampler": provider.sampler.get_description(),
    }
    line = " ".join(f"{name}={value}" for name, value in fields.items())
    _log.info("[tracing] OpenTelemetry SDK started %s", line, extra=fields)
    return telemetry
