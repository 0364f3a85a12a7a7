"""The packages that the demo needs beyond spanmill's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

_NEEDED: Sequence[tuple[str, str]] = (
    ("rich", "rich"),
    ("httpx", "httpx"),
    ("prometheus_client", "prometheus_client"),
    ("opentelemetry.instrumentation.httpx", "opentelemetry-instrumentation-httpx"),
    ("opentelemetry.instrumentation.asgi", "opentelemetry-instrumentation-asgi"),
    ("opentelemetry.exporter.otlp.proto.grpc", "opentelemetry-exporter-otlp"),
    ("spanmill_instrumentation", "spanmill-instrumentation"),
)
INSTALL = "pip install 'spanmill[demo]' spanmill-instrumentation"


def is_importable(module: str) -> bool:
    """Whether a module is installed, without running it (its parent packages are imported)."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def missing_packages(importable: Callable[[str], bool] = is_importable) -> list[str]:
    """The distributions that are not installed."""
    return [distribution for module, distribution in _NEEDED if not importable(module)]
