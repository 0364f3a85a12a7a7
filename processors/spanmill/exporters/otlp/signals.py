"""What differs between the signals that go to destinations; all else is the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from spanmill.journal.log import Signal
from spanmill.points.split import split_metrics
from spanmill.spans.split import Part, split_request

Split = Callable[[bytes, int], list[Part]]


@dataclass(frozen=True, slots=True)
class OtlpSignal:
    """One signal as OTLP sends it.

    `path` is that of OTLP/HTTP, `method` that of OTLP/gRPC; `item` and `items` are what log
    lines call a span or a point, `section` where its destinations stand in the configuration.
    """

    signal: Signal
    path: str
    method: str
    item: str
    items: str
    section: str
    split: Split = field(repr=False)

    @property
    def name(self) -> str:
        """As the label `signal` of metrics has it."""
        return self.signal.value


TRACES: Final = OtlpSignal(
    signal=Signal.TRACES,
    path="/v1/traces",
    method="/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    item="span",
    items="spans",
    section="exporters.otlp_traces",
    split=split_request,
)
METRICS: Final = OtlpSignal(
    signal=Signal.METRICS,
    path="/v1/metrics",
    method="/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    item="point",
    items="points",
    section="exporters.otlp_metrics",
    split=split_metrics,
)
