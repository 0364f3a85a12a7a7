"""The processors that a configuration asks for."""

from __future__ import annotations

from typing import Final

from spanmill.config.label_names import label_name
from spanmill.config.model import Config
from spanmill.config.span_metrics import SpanMetricsConfig
from spanmill.processors.interface import Processor
from spanmill.processors.span_metrics import SpanMetrics, SpanMetricsSettings
from spanmill.processors.target_info import TargetInfo
from spanmill.series.registry import Registry
from spanmill.telemetry import Telemetry

_SECOND_NS: Final = 1_000_000_000


def build_processors(config: Config, registry: Registry, telemetry: Telemetry) -> list[Processor]:
    """Every processor of spans, in the order in which they take a batch."""
    processors: list[Processor] = [
        SpanMetrics(_span_metrics(config.span_metrics), registry, telemetry)
    ]
    if config.span_metrics.target_info:
        idle_timeout_ns = round(config.span_metrics.idle_timeout * _SECOND_NS)
        processors.append(TargetInfo(registry, idle_timeout_ns))
    return processors


def _span_metrics(config: SpanMetricsConfig) -> SpanMetricsSettings:
    return SpanMetricsSettings(
        dialects=config.dialects,
        dimensions={key: label_name(key) for key in config.dimensions},
        buckets_ns={"tempo": config.buckets.tempo, "otel": config.buckets.otel},
        max_series=config.max_series,
        idle_timeout_ns=round(config.idle_timeout * _SECOND_NS),
        status_message=config.status_message,
        job=config.target_info,
    )
