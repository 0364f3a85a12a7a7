"""Exemplars of span metrics, from a batch of spans to the lines of a scrape."""

from __future__ import annotations

import re
from dataclasses import replace

from client_model import exemplar_of, read_delimited
from spanmill.exporters.exposition import Format, render
from spanmill.processors.span_metrics import SpanMetrics, SpanMetricsSettings
from spanmill.series.exemplars import ExemplarPool
from spanmill.series.names import SpanNames
from spanmill.series.registry import Registry
from spanmill.telemetry import Telemetry
from spanmill.testing import ManualClock, Span, batch_of

SETTINGS = SpanMetricsSettings(
    dialects=("tempo", "otel"),
    dimensions={},
    buckets_ns={"tempo": (2_000_000, 8_000_000), "otel": (4_000_000,)},
    max_series=1000,
    idle_timeout_ns=900 * 10**9,
)
SECOND = 10**9
NOW = 10**18
LATENCY = "traces_spanmetrics_latency"
MILLISECONDS = "traces_span_metrics_duration_milliseconds"


class Shown:
    """Span metrics with a pool, and what a scrape finds."""

    def __init__(self, ratio: float = 1.0, max_series: int = 1000) -> None:
        self.registry = Registry(ManualClock())
        self.processor = SpanMetrics(
            replace(SETTINGS, max_series=max_series),
            self.registry,
            Telemetry(self.registry),
            SpanNames(),
            ExemplarPool(100, ratio),
        )

    def observe(self, *spans: Span, at: int = NOW) -> None:
        self.processor.observe(batch_of(spans, (), at))

    def text(self) -> str:
        """The scrape in OpenMetrics."""
        families = self.registry.snapshot()
        rendered = render(families, Format.OPENMETRICS, created_timestamps=False)
        return b"".join(rendered).decode()

    def lines(self) -> dict[tuple[str, str], tuple[str, float, float]]:
        """By family and `le`: the last two digits of the trace id, value and second."""
        found = re.findall(
            r'^(\w+)_bucket\{.*le="(.*?)"\} \d+ # '
            r'\{trace_id="\w{30}(\w\w)",span_id="\w{16}"\} (\S+) (\S+)$',
            self.text(),
            re.MULTILINE,
        )
        return {
            (family, le): (trace, float(value), float(seconds))
            for family, le, trace, value, seconds in found
        }


def span(trace: int, milliseconds: float, status: int = 0) -> Span:
    return Span(
        trace_id=trace.to_bytes(16, "big"), duration=round(milliseconds * 1e6), status=status
    )


def test_each_dialect_shows_them_in_its_own_buckets_and_unit() -> None:
    shown = Shown()
    shown.observe(span(1, 1), span(2, 5), at=NOW + SECOND)
    second = (NOW + SECOND) / 1e9
    assert shown.lines() == {
        (LATENCY, "0.002"): ("01", 0.001, second),
        (LATENCY, "0.008"): ("02", 0.005, second),
        (MILLISECONDS, "4.0"): ("01", 1.0, second),
        (MILLISECONDS, "+Inf"): ("02", 5.0, second),
    }


def test_the_native_histogram_lists_them() -> None:
    shown = Shown()
    shown.observe(span(2, 5), at=NOW + SECOND)
    shown.observe(span(1, 1), at=NOW + 2 * SECOND)
    families = read_delimited(
        b"".join(render(shown.registry.snapshot(), Format.PROTOBUF, created_timestamps=False))
    )
    (native,) = (f.metric[0].histogram for f in families if f.name == LATENCY)
    assert [exemplar_of(exemplar).value for exemplar in native.exemplars] == [0.005, 0.001]
    (classic,) = (f.metric[0].histogram for f in families if f.name == MILLISECONDS)
    assert not classic.exemplars


def test_a_span_with_an_error_stays_where_one_that_the_sampler_drops_follows() -> None:
    # The overflow series has both; elsewhere the status is a label.
    shown = Shown(ratio=0.0, max_series=1)
    shown.observe(span(9, 1))
    shown.observe(Span(name="other"))
    shown.observe(span(1, 0.5, status=2), at=NOW + SECOND)
    shown.observe(
        Span(name="third", duration=500_000, trace_id=bytes(15) + b"\x02"), at=NOW + 9 * SECOND
    )
    overflow = [line for line in shown.text().splitlines() if "otel_metric_overflow" in line]
    fastest = next(line for line in overflow if line.startswith(LATENCY) and 'le="0.002"' in line)
    assert f'trace_id="{1:032x}"' in fastest


def test_a_tick_drops_those_that_have_grown_old() -> None:
    shown = Shown()
    shown.observe(span(1, 1))
    shown.processor.tick(NOW + 299 * SECOND)
    assert shown.lines()
    shown.processor.tick(NOW + 300 * SECOND)
    assert not shown.lines()


def test_without_a_pool_there_are_none() -> None:
    registry = Registry(ManualClock())
    processor = SpanMetrics(SETTINGS, registry, Telemetry(registry), SpanNames())
    processor.observe(batch_of([span(1, 1)]))
    processor.tick(NOW + 300 * SECOND)
    text = b"".join(render(registry.snapshot(), Format.OPENMETRICS, created_timestamps=False))
    assert b"# {trace_id" not in text
