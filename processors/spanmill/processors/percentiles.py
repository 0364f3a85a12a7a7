"""Latency percentiles of the busiest services and span names, over a sliding window."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.kernels import load_kernel
from spanmill.series.registry import SECONDS, Registry
from spanmill.series.snapshot import Family, FamilySnapshot, Values
from spanmill.series.state_reader import VERSION, StateReader
from spanmill.series.targets import Target, Targets
from spanmill.series.window import SlotRing, slots_of
from spanmill.series.window_aliases import WindowAliases
from spanmill.series.window_histogram import Arrived, HistogramWindow
from spanmill.series.window_labels import QuantileLabels
from spanmill.series.window_lateness import LateServices
from spanmill.series.window_series import NO_ROW, BusiestSeries
from spanmill.spans.batch import SPAN_KINDS, Groups, SpanBatch
from spanmill.spans.groups import groups_of
from spanmill.telemetry import Telemetry

QUANTILES: Final = (0.5, 0.9, 0.95, 0.99)

_FAMILY: Final = Family(
    "spanmill_latency_seconds", "gauge", "Quantiles of span durations over the sliding window."
)
_LABEL_NAMES: Final = ("service", "span_name", "span_kind", "quantile")
_STATE_VERSION: Final = 1


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
        seed: int | None = None,
    ) -> None:
        """`seed`, 64 bits, is for the kernel's tables alone; one by chance without it."""
        self._settings = settings
        self._seed = secrets.randbits(64) if seed is None else seed
        self._names = names
        self._targets = Targets(Target)
        self._ring = SlotRing(settings.window_ns)
        self._series = BusiestSeries(settings.max_series, self._ring.length)
        self._aliases = WindowAliases.load(settings.max_series)
        self._window = self._empty_window(self._ring)
        self._late_services = LateServices(self.name, settings.window_ns)
        self._late_spans = telemetry.window_late_spans
        self._late_gauge = telemetry.window_late_services
        self._left_out = registry.counter(
            "spanmill_percentiles_left_out_spans_total",
            "Spans without percentiles, since busier series have all places.",
            kept=True,
        )
        registry.keep(self.name, self)
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
        # Groups that a decoder found are finer than label sets here, which does no harm.
        groups = batch.groups if batch.groups is not None else groups_of(batch, ())
        spans = Arrived(
            end=np.ascontiguousarray(batch.end),
            duration=np.ascontiguousarray(batch.duration),
            weight=np.ascontiguousarray(batch.weight),
            groups=np.ascontiguousarray(groups.codes),
            arrival_ns=batch.arrival_ns,
            oldest=self._ring.oldest,
        )
        weights, counts, late = self._window.weigh(spans, len(groups))
        if late or self._late_services.watches():
            self._note_lateness(batch, late)
        rows = self._rows(batch, groups, weights, counts)
        without = rows == NO_ROW
        if without.any():
            left_out = int(counts[without].sum())
            if left_out:
                self._left_out.add(left_out)
        self._window.observe_groups(spans, rows)

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
        values = self._window.quantiles(QUANTILES)[rows] / SECONDS
        present = ~np.isnan(values[:, 0])
        labels = QuantileLabels.of(seated, present, QUANTILES)
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

    def state(self) -> State:
        """What a restart brings back; the histograms are put in order when it is written."""
        return {
            VERSION: _STATE_VERSION,
            "ring": self._ring.state(),
            "series": self._series.state(),
            "window": self._window.state(),
            "late_services": self._late_services.state(),
        }

    def restore(self, state: State) -> None:
        """Take over a state of a window of the same length, if there are rows for its series.

        Raises CheckpointError, and changes nothing, where it doesn't fit.
        """
        kept = StateReader(self.name, state)
        kept.version(_STATE_VERSION)
        ring = SlotRing(self._settings.window_ns)
        ring.restore(kept.part("ring"))
        series = BusiestSeries(self._settings.max_series, ring.length)
        series.restore(kept.part("series"))
        window = self._empty_window(ring)
        window.restore(kept.part("window"))
        late_services = LateServices(self.name, self._settings.window_ns)
        late_services.restore(kept.part("late_services"))
        self._ring, self._series, self._window = ring, series, window
        self._late_services = late_services
        self._late_gauge.set(late_services.always, self.name)

    def _empty_window(self, ring: SlotRing) -> HistogramWindow:
        kernel = load_kernel("spanmill.series._window")
        return HistogramWindow(ring, self._settings.max_series, kernel, self._seed)

    def _moved(self, slots: int) -> None:
        """Drop what the window has left behind; once a slot, decide who has a row.

        `slots` is what `SlotRing.advance` returned.
        """
        if not slots:
            return
        if slots < 0:
            self._window.redate(slots)
            return
        self._window.drop_old()
        self._window.clear(self._series.step(slots, self._window.totals() <= 0))
        if self._aliases is not None:
            self._aliases.forget(self._series.left)

    def _rows(
        self,
        batch: SpanBatch,
        groups: Groups,
        weights: npt.NDArray[np.float64],
        counts: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """The row of each group that has spans in time, or NO_ROW: int64 (m,)."""
        if self._aliases is None or groups.identities is None:
            rows = np.full(len(groups), NO_ROW)
            asked = np.flatnonzero(counts)
        else:
            rows = self._aliases.find(groups.identities)
            asked = np.flatnonzero((rows == NO_ROW) & (counts > 0))
        if len(asked):
            found = self._looked_up(batch, groups.first[asked], weights[asked])
            rows[asked] = found
            if self._aliases is not None and groups.identities is not None:
                self._aliases.put(groups.identities, asked, found)
        self._series.count(rows, weights)
        return rows

    def _looked_up(
        self, batch: SpanBatch, first: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.int64]:
        """The row of each group by its label set: int64 (k,); `first` is a row of each group."""
        resources = [batch.resource.values[code] for code in batch.resource.codes[first].tolist()]
        names = [batch.name.values[code] for code in batch.name.codes[first].tolist()]
        labels = zip(
            (self._targets.of(resource).service for resource in resources),
            self._names.labels(names),
            (SPAN_KINDS[kind] for kind in batch.kind[first].tolist()),
            strict=True,
        )
        return self._series.seat(list(labels), weights)

    def _note_lateness(self, batch: SpanBatch, late: int) -> None:
        if late:
            self._late_spans.add(late, self.name)
        in_time = self._ring.covers(slots_of(batch.end, batch.arrival_ns))
        services = [self._targets.of(resource).service for resource in batch.resource.values]
        codes = batch.resource.codes
        self._late_services.observe(
            {services[code] for code in np.unique(codes[~in_time]).tolist()},
            {services[code] for code in np.unique(codes[in_time]).tolist()},
            batch.arrival_ns,
        )
