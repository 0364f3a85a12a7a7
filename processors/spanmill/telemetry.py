"""The processor's own health: every metric about spanmill itself, and the books."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spanmill.journal.log import Signal
from spanmill.kernels import ALL_KERNELS, short_name
from spanmill.points.decoder import POINT_REJECTION_REASONS
from spanmill.series.instruments import Counter, Gauge
from spanmill.series.limit_gauges import declare_limits
from spanmill.series.registry import Registry
from spanmill.spans.decoder import REJECTION_REASONS

RECEIVED_OUTCOMES: Final = ("accepted", "invalid", "refused", "duplicate")
ACCEPTED_OUTCOMES: Final = ("counted_own", "counted_overflow", "filtered")
EXPORT_OUTCOMES: Final = (
    "delivered",
    "dead_lettered",
    "expired",
    "rejected_by_peer",
    "filtered_for_it",
)

_MS = 1_000_000
_ACK_BOUNDS_NS = [_MS * ms for ms in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)]
_EXPORT_BOUNDS_NS = [_MS * ms for ms in (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)]
_LATENESS_BOUNDS_NS = [1000 * _MS * s for s in (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)]


@dataclass(frozen=True, slots=True)
class ItemBooks:
    """The books of one signal: what came in, where it was counted, and what became of it.

    Items are spans or metric points; `received` and `accepted` are by outcome, `exported` by
    exporter and outcome, `queued` by exporter.
    """

    received: Counter
    accepted: Counter
    exported: Counter
    queued: Gauge

    def show_zeros(self, exporters: Sequence[str]) -> None:
        """Let `rate()` see the first event: a series that is born with it hides it."""
        for outcome in RECEIVED_OUTCOMES:
            self.received.add(0, outcome)
        for outcome in ACCEPTED_OUTCOMES:
            self.accepted.add(0, outcome)
        for exporter in exporters:
            for outcome in EXPORT_OUTCOMES:
                self.exported.add(0, exporter, outcome)


class Telemetry:
    """The instruments of docs/scraping.md, among them the books of docs/architecture.md.

    The books count spans and metric points, never sampling weights. Whoever changes several of
    them, or one of them together with a queue, holds the registry's lock meanwhile. The
    destinations of traces and of metrics may share names.
    """

    def __init__(
        self,
        registry: Registry,
        exporters: Sequence[str] = (),
        metric_exporters: Sequence[str] = (),
    ) -> None:
        self.receiver_requests = registry.counter(
            "spanmill_receiver_requests_total",
            "Requests answered, by receiver, signal and outcome.",
            ("receiver", "signal", "outcome"),
        )
        self.refused_items = registry.counter(
            "spanmill_receiver_refused_items_total",
            "Spans and metric points rejected alone out of requests that were taken, by reason.",
            ("reason",),
            kept=True,
        )
        self.ack_duration = registry.histogram(
            "spanmill_ack_duration_seconds",
            "Time from a complete request to its answer.",
            _ACK_BOUNDS_NS,
        )
        self.spans = _item_books(registry, "spans", "spans")
        self.points = _item_books(registry, "metric_points", "metric points")
        self.spans_accepted = self.spans.accepted
        self.points_accepted = self.points.accepted
        self.export_queued_bytes = registry.gauge(
            "spanmill_export_queued_bytes",
            "Bytes that wait for a destination or for its answer.",
            ("exporter", "signal"),
        )
        self.export_duration = registry.histogram(
            "spanmill_export_duration_seconds",
            "Time of one request to a destination.",
            _EXPORT_BOUNDS_NS,
            ("exporter", "signal"),
        )
        self.export_retries = registry.counter(
            "spanmill_export_retries_total",
            "Requests to a destination that were sent again.",
            ("exporter", "signal"),
        )
        self.pushes = registry.counter(
            "spanmill_push_total",
            "Snapshots of derived metrics pushed to a destination, by outcome.",
            ("exporter", "outcome"),
        )
        self.span_lateness = registry.histogram(
            "spanmill_span_lateness_seconds",
            "Arrival of a span minus its end.",
            _LATENESS_BOUNDS_NS,
            kept=True,
        )
        self.window_late_spans = registry.counter(
            "spanmill_window_late_spans_total",
            "Spans whose slot of a processor's window was gone when they arrived.",
            ("processor",),
            kept=True,
        )
        self.window_late_services = registry.gauge(
            "spanmill_window_late_services",
            "Services of which every span was too late, for the length of a processor's window.",
            ("processor",),
        )
        self.series_overflow = registry.counter(
            "spanmill_series_overflow_total",
            "Spans that were counted in the overflow series because the limit was reached.",
            kept=True,
        )
        self.family_conflicts = registry.counter(
            "spanmill_family_conflicts_total",
            "Metrics of services, each in each request, that weren't shown because another type or "
            "unit holds their name.",
            kept=True,
        )
        self.processor_errors = registry.counter(
            "spanmill_processor_errors_total",
            "Batches and ticks that a processor failed on, by processor.",
            ("processor",),
            kept=True,
        )
        self.spans.show_zeros(exporters)
        self.points.show_zeros(metric_exporters)
        for signal, names in (("traces", exporters), ("metrics", metric_exporters)):
            for name in names:
                self.export_retries.add(0, name, signal)
        for reason in {**REJECTION_REASONS, **POINT_REJECTION_REASONS}:
            self.refused_items.add(0, reason)
        self.series_overflow.add(0)
        self.family_conflicts.add(0)
        declare_limits(registry)

    def books_of(self, signal: Signal) -> ItemBooks:
        """The books of the spans, or of the metric points."""
        return self.points if signal is Signal.METRICS else self.spans

    def count_received(self, signal: Signal, accepted: int, rejected: Mapping[str, int]) -> None:
        """Count the items of a request that was taken: the accepted, and the rejected by reason."""
        received = self.books_of(signal).received
        received.add(accepted, "accepted")
        for reason, items in rejected.items():
            received.add(items, "invalid")
            self.refused_items.add(items, reason)


def _item_books(registry: Registry, names: str, items: str) -> ItemBooks:
    books = ItemBooks(
        received=registry.counter(
            f"spanmill_{names}_received_total",
            f"{items.capitalize()} of decoded requests, by outcome; the outcomes sum to all that "
            "was received.",
            ("outcome",),
            kept=True,
        ),
        accepted=registry.counter(
            f"spanmill_{names}_accepted_total",
            f"Accepted {items}, by where they were counted.",
            ("outcome",),
            kept=True,
        ),
        exported=registry.counter(
            f"spanmill_export_{names}_total",
            f"Accepted {items} that a destination needs no more, by outcome.",
            ("exporter", "outcome"),
        ),
        queued=registry.gauge(
            f"spanmill_export_queued_{names}",
            f"Accepted {items} that wait for a destination or for its answer.",
            ("exporter",),
        ),
    )
    books.received.begin_anew([("refused",)])  # what was refused is in no journal
    return books


def declare_build(registry: Registry, version: str, decoder_kind: str) -> None:
    """Show which version and which decoder run."""
    build = registry.gauge(
        "spanmill_build_info", "Always 1; the labels say what runs.", ("version", "python_version")
    )
    build.set(1, version, platform.python_version())
    decoder = registry.gauge(
        "spanmill_decoder_info", "Always 1; which decoder reads the requests.", ("kind",)
    )
    decoder.set(1, decoder_kind)


def declare_kernels(registry: Registry, missing: Sequence[str]) -> None:
    """Show which compiled kernels run, and for which their references do."""
    kernels = registry.gauge(
        "spanmill_kernel_info",
        "Always 1; whether this compiled kernel is loaded, or its reference does the work.",
        ("kernel", "loaded"),
    )
    for name in map(short_name, ALL_KERNELS):
        kernels.set(1, name, "false" if name in missing else "true")


def declare_irregular_requests(registry: Registry, irregular: Callable[[], int]) -> None:
    """Show how many requests the compiled decoder has left to the reference so far."""
    counter = registry.counter(
        "spanmill_decoder_irregular_requests_total",
        "Requests in a form that the compiled decoder leaves to the reference.",
    )
    counted = 0

    def refresh() -> None:
        nonlocal counted
        requests = irregular()
        counter.add(requests - counted)
        counted = requests

    registry.before_snapshot(refresh)


def declare_process(registry: Registry) -> None:
    """Show `process_*` as Prometheus's client libraries name them, read from /proc."""
    stat, status = Path("/proc/self/stat"), Path("/proc/self/statm")
    if not stat.exists():
        return
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    cpu = registry.counter("process_cpu_seconds_total", "User and system CPU time.")
    resident = registry.gauge("process_resident_memory_bytes", "Resident memory.")
    virtual = registry.gauge("process_virtual_memory_bytes", "Virtual memory.")
    descriptors = registry.gauge("process_open_fds", "Open file descriptors.")
    limit = registry.gauge("process_max_fds", "Most file descriptors that may be open.")
    start = registry.gauge(
        "process_start_time_seconds", "When the process started, seconds since the Unix epoch."
    )
    start.set(_start_time(stat, ticks))
    counted = 0.0

    def refresh() -> None:
        nonlocal counted
        fields = stat.read_text().rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / ticks
        cpu.add(seconds - counted)
        counted = seconds
        pages = status.read_text().split()
        virtual.set(int(pages[0]) * page)
        resident.set(int(pages[1]) * page)
        descriptors.set(len(os.listdir("/proc/self/fd")))
        limit.set(resource.getrlimit(resource.RLIMIT_NOFILE)[0])

    registry.before_snapshot(refresh)


def _start_time(stat: Path, ticks: int) -> float:
    since_boot = int(stat.read_text().rpartition(")")[2].split()[19]) / ticks
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return int(line.split()[1]) + since_boot
    return 0.0
