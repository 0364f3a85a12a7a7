"""The processors that a configuration asks for."""

from __future__ import annotations

import time
from collections.abc import Callable

from spanmill.config.exemplars import ExemplarsConfig
from spanmill.config.label_names import label_name
from spanmill.config.model import Config
from spanmill.config.service_graph import ServiceGraphConfig
from spanmill.config.span_metrics import SpanMetricsConfig
from spanmill.errors import StartError
from spanmill.points.batch import PointBatch
from spanmill.processors.guard import GuardedProcessor
from spanmill.processors.interface import Processor
from spanmill.processors.own import build_own_processor
from spanmill.processors.percentiles import Percentiles, PercentilesSettings
from spanmill.processors.service_graph import ServiceGraph, ServiceGraphSettings
from spanmill.processors.service_metrics import ServiceMetrics, ServiceMetricsSettings
from spanmill.processors.span_metrics import SpanMetrics, SpanMetricsSettings
from spanmill.processors.target_info import TargetInfo
from spanmill.series.exemplars import ExemplarPool
from spanmill.series.names import SpanNames
from spanmill.series.registry import Registry
from spanmill.spans.batch import SpanBatch
from spanmill.telemetry import Telemetry


def build_processors(
    config: Config,
    registry: Registry,
    telemetry: Telemetry,
    elapsed_ns: Callable[[], int] = time.perf_counter_ns,
) -> list[GuardedProcessor[SpanBatch]]:
    """Every processor of spans, in the order in which they take a batch.

    `elapsed_ns` is a stopwatch. Raises StartError where one of the
    configuration's own can't be made.
    """
    guards = []
    for name, processor in _built_in(config, registry, telemetry).items():
        attributes = processor.attributes
        guards.append(
            GuardedProcessor[SpanBatch](
                name, processor, telemetry, elapsed_ns, attributes=attributes
            )
        )
    for index, own in enumerate(config.processors):
        try:
            hosted = build_own_processor(own, registry)
        except StartError as error:
            raise StartError(f"processors[{index}] ({own.name}): {error}") from error
        guards.append(
            GuardedProcessor(
                own.name,
                hosted,
                telemetry,
                elapsed_ns,
                attributes=hosted.attributes,
                max_failures=own.max_failures,
            )
        )
    return guards


def _built_in(config: Config, registry: Registry, telemetry: Telemetry) -> dict[str, Processor]:
    names = SpanNames(
        config.span_metrics.name_rules, enabled=config.span_metrics.normalize_span_names
    )
    exemplars = _exemplar_pool(config.exemplars) if config.exemplars is not None else None
    processors: dict[str, Processor] = {
        SpanMetrics.name: SpanMetrics(
            _span_metrics(config.span_metrics), registry, telemetry, names, exemplars
        )
    }
    if config.span_metrics.target_info:
        idle_timeout_ns = _nanoseconds(config.span_metrics.idle_timeout)
        processors[TargetInfo.name] = TargetInfo(registry, idle_timeout_ns)
    if config.service_graph is not None:
        processors[ServiceGraph.name] = ServiceGraph(
            _service_graph(config.service_graph), registry, telemetry
        )
    if config.percentiles is not None:
        window_ns = _nanoseconds(config.percentiles.window)
        settings = PercentilesSettings(window_ns, config.percentiles.max_series)
        processors[Percentiles.name] = Percentiles(settings, registry, telemetry, names)
    return processors


def build_service_metrics(
    config: Config,
    registry: Registry,
    telemetry: Telemetry,
    elapsed_ns: Callable[[], int] = time.perf_counter_ns,
) -> GuardedProcessor[PointBatch]:
    """What takes the points that services send."""
    settings = ServiceMetricsSettings(
        config.service_metrics.max_series, _nanoseconds(config.service_metrics.stale_after)
    )
    metrics = ServiceMetrics(settings, registry, telemetry)
    return GuardedProcessor(metrics.name, metrics, telemetry, elapsed_ns)


def _span_metrics(config: SpanMetricsConfig) -> SpanMetricsSettings:
    return SpanMetricsSettings(
        dialects=config.dialects,
        dimensions={key: label_name(key) for key in config.dimensions},
        buckets_ns={"tempo": config.buckets.tempo, "otel": config.buckets.otel},
        max_series=config.max_series,
        idle_timeout_ns=_nanoseconds(config.idle_timeout),
        status_message=config.status_message,
        job=config.target_info,
        instance=config.instance_label,
    )


def _service_graph(config: ServiceGraphConfig) -> ServiceGraphSettings:
    return ServiceGraphSettings(
        wait_ns=_nanoseconds(config.wait),
        max_pending=config.max_pending,
        max_series=config.max_series,
        idle_timeout_ns=_nanoseconds(config.idle_timeout),
        user_root=config.user_root,
        peer_attributes=config.peer_attributes,
        buckets_ns=config.buckets,
    )


def _exemplar_pool(config: ExemplarsConfig) -> ExemplarPool:
    return ExemplarPool(config.max_exemplars, config.kept_ratio, config.hash_salt)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)
