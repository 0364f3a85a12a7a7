"""Latency percentiles of the busiest services and span names, over a sliding window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from spanmill.series.registry import SECONDS, Registry
from spanmill.series.snapshot import Family, FamilySnapshot, LabelValues, Values
from spanmill.series.targets import service_of
from spanmill.series.window import SlotRing, slots_of
from spanmill.series.window_histogram import HistogramWindow, bounded_weights
from spanmill.series.window_lateness import LateServices
from spanmill.series.window_series import NO_ROW, BusiestSeries
from spanmill.spans.batch import SPAN_KINDS, SpanBatch
from spanmill.telemetry import Telemetry

QUANTILES: Final = (0.5, 0.9, 0.95, 0.99)

_FAMILY: Final = Family(
    "spanmill_latency_seconds", "gauge", "Quantiles of span durations over the sliding window."
)
_LABEL_NAMES: Final = ("service", "span_name", "span_kind", "quantile")

Chosen = slice | npt.NDArray[np.int64]
"""An index of some rows of a batch."""


class SpanNames(Protocol):
    """What makes label values of span names."""

    def labels(self, values: Sequence[str]) -> list[str]:
        """The label of each name."""
        ...


@dataclass(frozen=True, slots=True)
class PercentilesSettings:
    """How far back the percentiles look, and how many series have them."""

    window_ns: int
    max_series: int


class Percentiles:
    """Quantiles of the durations of each (service, span name, kind), the busiest of them.

    Each is within 1.1 % of the exact quantile of the spans in the window (`HistogramWindow` has
    the guarantee and the memory). A series that has no span in the window is absent. Spans of
    label sets that have no row are counted, and so are those that arrive when their slot of the
    window is gone; both are left out here and are in every other metric.
    """

    name = "percentiles"
    attributes: tuple[str, ...] = ()

    def __init__(
        self,
        settings: PercentilesSettings,
        registry: Registry,
        telemetry: Telemetry,
        names: SpanNames,
    ) -> None:
        self._names = names
        self._ring = SlotRing(settings.window_ns)
        self._series = BusiestSeries(settings.max_series, self._ring.length)
        self._window = HistogramWindow(self._ring, settings.max_series)
        self._late_services = LateServices(self.name, settings.window_ns)
        self._late_spans = telemetry.window_late_spans
        self._late_gauge = telemetry.window_late_services
        self._left_out = registry.counter(
            "spanmill_percentiles_left_out_spans_total",
            "Spans without percentiles, since busier series have all places.",
        )
        covered = registry.gauge(
            "spanmill_percentiles_window_seconds", "How far back the percentiles look now."
        )
        registry.before_snapshot(lambda: covered.set(self._ring.covered_ns / SECONDS))
        registry.expose_family(_FAMILY, self.snapshot)
        self._left_out.add(0)
        self._late_spans.add(0, self.name)
        self._late_gauge.set(0, self.name)

    def observe(self, batch: SpanBatch) -> None:
        """Count the spans of a batch in the slots where they belong."""
        self._moved(self._ring.advance(batch.arrival_ns))
        if not len(batch):
            return
        slots = slots_of(batch.end, batch.arrival_ns)
        services = [service_of(resource.attributes) for resource in batch.resource.values]
        in_time = self._ring.covers(slots)
        self._note_lateness(batch, in_time, services)
        chosen = _chosen(in_time)
        weights = bounded_weights(batch.weight[chosen])
        rows = self._rows(batch, chosen, weights, services)
        placed = rows != NO_ROW
        self._left_out.add(len(rows) - int(np.count_nonzero(placed)))
        has_row = _chosen(placed)
        self._window.observe(
            slots[chosen][has_row],
            rows[has_row],
            batch.duration[chosen][has_row],
            weights[has_row],
        )

    def tick(self, now_ns: int) -> None:
        """Let old spans leave the window, and say which services are always late."""
        self._moved(self._ring.advance(now_ns))
        self._late_gauge.set(self._late_services.report(now_ns), self.name)

    def merge(self, other: Percentiles) -> None:
        """Add what another one has counted.

        Associative and commutative as far as all label sets have room here. Raises ValueError
        where the windows differ in length.
        """
        self._moved(self._ring.join(other._ring))
        self._window.drop_old()
        seated = other._series.seated()
        theirs = np.fromiter(seated.values(), np.int64, len(seated))
        rows = np.full(other._series.limit, NO_ROW)
        rows[theirs] = self._series.rows(list(seated), other._window.totals()[theirs])
        self._window.merge(other._window, rows)

    def snapshot(self) -> FamilySnapshot:
        """The quantiles of every series that has spans in the window."""
        seated = self._series.seated()
        rows = np.fromiter(seated.values(), np.int64, len(seated))
        values = self._window.quantiles(QUANTILES)
        values = values[rows] / SECONDS
        present = ~np.isnan(values[:, 0])
        labels = [
            (*key, str(quantile))
            for key, shown in zip(seated, present.tolist(), strict=True)
            if shown
            for quantile in QUANTILES
        ]
        return FamilySnapshot(
            family=_FAMILY,
            label_names=_LABEL_NAMES,
            labels=labels,
            created=np.full(len(labels), np.nan),
            data=Values(values[present].ravel()),
        )

    def window_bytes(self) -> int:
        """What the slots of the window hold."""
        return self._window.slot_bytes()

    def _moved(self, slots: int) -> None:
        """Drop what the window has left behind; once a slot, decide who has a row.

        `slots` is what `SlotRing.advance` returned.
        """
        if not slots:
            return
        self._window.drop_old()
        if slots < 0:
            slots = self._ring.length
        self._window.clear(self._series.step(slots, self._window.totals() <= 0))

    def _rows(
        self,
        batch: SpanBatch,
        chosen: Chosen,
        weights: npt.NDArray[np.float64],
        services: Sequence[str],
    ) -> npt.NDArray[np.int64]:
        """The row of each chosen span, or NO_ROW: int64 (n,)."""
        names, kinds = len(batch.name.values), len(SPAN_KINDS)
        pairs = batch.resource.codes[chosen].astype(np.int64) * names + batch.name.codes[chosen]
        distinct, inverse = _distinct(
            pairs * kinds + batch.kind[chosen], len(services) * names * kinds
        )
        spans = np.bincount(inverse, weights, minlength=len(distinct)).astype(np.float64)
        span_names = self._names.labels(batch.name.values)
        labels: list[LabelValues] = [
            (
                services[key // kinds // names],
                span_names[key // kinds % names],
                SPAN_KINDS[key % kinds],
            )
            for key in distinct.tolist()
        ]
        return self._series.rows(labels, spans)[inverse]

    def _note_lateness(
        self, batch: SpanBatch, in_time: npt.NDArray[np.bool_], services: Sequence[str]
    ) -> None:
        late = len(in_time) - int(np.count_nonzero(in_time))
        if late:
            self._late_spans.add(late, self.name)
        if late or self._late_services.watches():
            codes = batch.resource.codes
            self._late_services.observe(
                {services[code] for code in np.unique(codes[~in_time]).tolist()},
                {services[code] for code in np.unique(codes[in_time]).tolist()},
                batch.arrival_ns,
            )


def _chosen(wanted: npt.NDArray[np.bool_]) -> Chosen:
    """An index of what is wanted, which copies nothing where that is all."""
    return slice(None) if wanted.all() else np.flatnonzero(wanted)


def _distinct(
    keys: npt.NDArray[np.int64], size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The distinct keys below `size`, ascending, and the position of each key in them."""
    if size > 4 * len(keys) + 1024:
        return np.unique(keys, return_inverse=True)
    # A table of all keys takes a sixth of the time of sorting them.
    there = np.zeros(size, np.bool_)
    there[keys] = True
    position = np.cumsum(there) - 1
    return np.flatnonzero(there), position[keys]
