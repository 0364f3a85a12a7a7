"""What is counted: each piece of work as it is done in the running program, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

import numpy as np

from benchmarks.instructions.calls import again, request_of_calls
from benchmarks.instructions.requests import ATTRIBUTES, BEGIN_NS, request
from spanmill.config.model import Config
from spanmill.exporters.exposition.compiled import load_renderer
from spanmill.exporters.exposition.formats import Format, render
from spanmill.processors.factory import build_processors
from spanmill.processors.service_graph import ServiceGraph, ServiceGraphSettings
from spanmill.series.counter import CounterColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.label_sets import LabelSets
from spanmill.series.registry import Registry
from spanmill.spans.compiled import HASH_KEY_BYTES
from spanmill.spans.decoder import Decoder
from spanmill.spans.installed import load_decoder
from spanmill.telemetry import Telemetry

Work = Callable[[], int]
"""Does something once; returns of how many units the counts are to be shown."""

_BOUNDS_NS: Final = tuple(int(1e6 * 2**i) for i in range(1, 15))
_ROWS: Final = 2_000
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Workload:
    """A piece of work, named with its unit; `prepare` makes what it needs."""

    name: str
    prepare: Callable[[], Work]


class StandingClock:
    """A clock that shows one time."""

    def time_ns(self) -> int:
        """When all spans begin."""
        return BEGIN_NS

    def monotonic(self) -> float:
        """Seconds since no time that matters."""
        return 0.0


def decoder_of(attributes: tuple[str, ...]) -> Decoder:
    """The decoder that is installed, with a hash key that is always the same."""
    return load_decoder(attributes, attributes[:1], bytes(HASH_KEY_BYTES))


def decoding(spans: int, extra_attributes: int) -> Callable[[], Work]:
    """Requests of one size, their spans with so many attributes beside the usual three."""

    def prepare() -> Work:
        decoder = decoder_of(ATTRIBUTES)
        body = request(spans, extra_attributes=extra_attributes, seed=spans)
        return lambda: len(decoder.decode(body).batch)

    return prepare


def observing() -> Work:
    """Batches of durations at known rows: counters, classic and native histograms at once."""
    label_sets = LabelSets(("n",), _ROWS, None)
    rows = label_sets.rows([(str(i),) for i in range(_ROWS)], 0)
    calls, sizes = CounterColumn(label_sets), CounterColumn(label_sets)
    durations = HistogramColumn(label_sets, [_BOUNDS_NS], native=True)
    random = np.random.default_rng(1)
    n = 20 * 512
    at = rows[(_ROWS * random.random(n) ** 2).astype(np.int64)]
    taken = random.lognormal(15, 2, n).astype(np.uint64)
    weights, bytes_each = np.ones(n), random.integers(200, 900, n)

    def work() -> int:
        for begin in range(0, n, 512):
            these = slice(begin, begin + 512)
            durations.observe_spans(
                at[these],
                taken[these],
                weights[these],
                sizes=bytes_each[these],
                calls=calls,
                size_sums=sizes,
            )
        return n

    return work


def merging() -> Work:
    """The histograms of many rows taken out, and added to others."""
    label_sets = LabelSets(("n",), _ROWS, None)
    rows = label_sets.rows([(str(i),) for i in range(_ROWS)], 0)
    left, right = (HistogramColumn(label_sets, [_BOUNDS_NS], native=True) for _ in range(2))
    random = np.random.default_rng(2)
    taken = random.lognormal(15, 2, 40_000).astype(np.uint64)
    right.observe(rows[random.integers(0, _ROWS, len(taken))], taken, np.ones(len(taken)))

    def work() -> int:
        left.merge(rows, right, rows)
        return len(rows)

    return work


def deriving() -> Work:
    """Span metrics of batches whose label sets are known."""
    registry = Registry(StandingClock())
    built = build_processors(Config(), registry, Telemetry(registry), lambda: 0)
    (metrics,) = (processor for processor in built if processor.name == "span_metrics")
    body = request(510, extra_attributes=0, seed=3)
    batch = decoder_of(metrics.attributes).decode(body).batch
    rounds = count(1)

    def work() -> int:
        for _ in range(10):
            metrics.observe(again(batch, next(rounds), _SECOND_NS // 10))
        return 10 * len(batch)

    return work


def pairing() -> Work:
    """The sides of calls between services, which meet in one batch."""
    registry = Registry(StandingClock())
    settings = ServiceGraphSettings(
        wait_ns=10 * _SECOND_NS,
        max_pending=100_000,
        max_series=1_000,
        idle_timeout_ns=900 * _SECOND_NS,
        user_root=True,
        peer_attributes=("peer.service", "db.name"),
        buckets_ns=_BOUNDS_NS,
    )
    graph = ServiceGraph(settings, registry, Telemetry(registry), seed=1)
    batch = decoder_of(graph.attributes).decode(request_of_calls(256, seed=4)).batch
    rounds = count(1)

    def work() -> int:
        for _ in range(10):
            graph.observe(again(batch, next(rounds), 3600 * _SECOND_NS))
        return 10 * len(batch)

    return work


def rendering(form: Format) -> Callable[[], Work]:
    """A scrape of counters and histograms, of as many series as there are label sets."""

    def prepare() -> Work:
        registry = Registry(StandingClock())
        built = build_processors(Config(), registry, Telemetry(registry), lambda: 0)
        (metrics,) = (processor for processor in built if processor.name == "span_metrics")
        body = request(2_000, extra_attributes=0, seed=5)
        metrics.observe(decoder_of(metrics.attributes).decode(body).batch.arrived(BEGIN_NS))
        kernel = load_renderer()
        families = [family for family in registry.snapshot() if len(family.labels) > 100]

        def work() -> int:
            for _ in render(families, form, created_timestamps=False, kernel=kernel):
                pass
            return sum(len(family.labels) for family in families)

        return work

    return prepare


WORKLOADS: Final = (
    Workload("decode a span, 510 a request, 220 bytes", decoding(510, 0)),
    Workload("decode a span, 510 a request, 590 bytes", decoding(510, 8)),
    Workload("decode a span, 8,190 a request, 220 bytes", decoding(8_190, 0)),
    Workload("decode a span, 10 a request, 220 bytes", decoding(10, 0)),
    Workload("count a span in the table, 512 a batch", observing),
    Workload("merge a histogram of the table", merging),
    Workload("derive span metrics of a span, 510 a batch", deriving),
    Workload("pair a span in the service graph, 512 a batch", pairing),
    Workload("render a series as text", rendering(Format.TEXT)),
    Workload("render a series as protobuf", rendering(Format.PROTOBUF)),
)
