"""The metrics that a processor declares when it is made."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, TypeVar

from spanmill.errors import DeclarationError
from spanmill.processors.declarations import bucket_bounds, family, label_names
from spanmill.processors.instruments import Counter, Gauge, Histogram, LatestValues, SeriesRows
from spanmill.series.counter import CounterColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.registry import SECONDS, Registry
from spanmill.series.snapshot import FamilySnapshot, Values

Instrument = TypeVar("Instrument", Counter, Histogram, Gauge)

DEFAULT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds in seconds, those of Prometheus's client libraries."""


class Metrics:
    """Where a processor declares its metrics: what it is given first when it is made.

    Metrics with the same labels share their label sets: of each such group at most `max_series`
    label sets exist at a time, the busiest keep their series, and what finds no room shares the
    overflow series; one that nothing was added to for `idle_timeout_ns` disappears. The group
    declared first is shown in `spanmill_series` under the processor's name, further ones
    under NAME/METRIC. Metrics are declared in the constructor and nowhere else, so that all names
    are known, and conflicts found, at the start.
    """

    def __init__(
        self, registry: Registry, processor: str, max_series: int, idle_timeout_ns: int
    ) -> None:
        self._registry = registry
        self.processor: Final = processor
        """The name of the processor that declares them."""
        self._max_series = max_series
        self._idle_timeout_ns = idle_timeout_ns
        self._groups: dict[tuple[str, ...], SeriesRows] = {}
        self._instruments: list[Counter | Histogram | Gauge] = []
        self._closed = False
        self._lent = False
        self._called = False

    def counter(
        self, name: str, text: str, labels: Sequence[str] = (), *, unit: str = ""
    ) -> Counter:
        """A counter; its name ends in `_total`, before that in its unit if it has one."""
        declared = family(name, "counter", text, unit)
        series = self._series(name, labels)
        column = CounterColumn(series.label_sets)
        self._registry.expose_values(declared, series.label_sets, column)
        return self._declared(Counter(name, series, column))

    def histogram(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        unit: str = "seconds",
        buckets: Sequence[float] = DEFAULT_BUCKETS,
    ) -> Histogram:
        """A histogram; its name ends in its unit.

        `buckets` are the upper bounds of the classic ones in the unit, ascending. One in seconds
        takes nanoseconds and has a native form too; any other unit takes whole numbers of it.
        """
        declared = family(name, "histogram", text, unit)
        in_seconds = unit == "seconds"
        unit_ns = SECONDS if in_seconds else 1
        bounds = bucket_bounds(name, buckets, unit_ns)
        series = self._series(name, labels)
        column = HistogramColumn(series.label_sets, [bounds], native=in_seconds)
        self._registry.expose_histogram(
            declared, series.label_sets, column, unit_ns=unit_ns, native=in_seconds
        )
        return self._declared(Histogram(name, series, column))

    def gauge(self, name: str, text: str, labels: Sequence[str] = (), *, unit: str = "") -> Gauge:
        """A gauge; its name ends in its unit if it has one."""
        declared = family(name, "gauge", text, unit)
        series = self._series(name, labels)
        label_sets = series.label_sets
        column = LatestValues(label_sets)
        label_sets.keep(name, column)

        def snapshot() -> FamilySnapshot:
            rows = column.given(label_sets.live_rows())
            return FamilySnapshot(
                declared,
                label_sets.names,
                label_sets.labels(rows),
                label_sets.created_seconds(rows),
                Values(column.values(rows)),
            )

        self._registry.expose_family(declared, snapshot)
        return self._declared(Gauge(name, series, column))

    @property
    def registry(self) -> Registry:
        """The registry itself, for the built-in processors, which keep columns of their own."""
        self._lent = True
        return self._registry

    def names(self) -> list[str]:
        """The metrics that were declared here."""
        return [instrument.name for instrument in self._instruments]

    def any_declared(self) -> bool:
        """Whether a metric was declared here, or can have been in the registry itself."""
        return self._lent or bool(self._instruments)

    def close(self) -> None:
        """Take no further declarations."""
        self._closed = True

    def instruments(self) -> Sequence[Counter | Histogram | Gauge]:
        """What was declared here."""
        return self._instruments

    def counted(self) -> list[str]:
        """The metrics that have taken what was added while the processor was made."""
        return self.names() if self._called else []

    def forget_waiting(self, counted: Collection[str]) -> None:
        """Forget what was added to these metrics while the processor was made.

        After a restart: the first process has counted it.
        """
        for instrument in self._instruments:
            if instrument.name in counted:
                instrument.end_call(keep=False)
                self._called = True

    def begin_call(self, now_ns: int) -> None:
        """Let what is added now count as of this moment: nanoseconds since the Unix epoch."""
        self._called = True
        for series in self._groups.values():
            series.now_ns = now_ns

    def end_call(self, *, keep: bool) -> None:
        """Let what was added one by one take effect, or, after a fault, forget it."""
        for instrument in self._instruments:
            instrument.end_call(keep=keep)

    def _series(self, metric: str, labels: Sequence[str]) -> SeriesRows:
        names = label_names(metric, labels)
        if self._closed:
            raise DeclarationError(f"{metric} must be declared in the constructor, not later")
        series = self._groups.get(names)
        if series is None:
            shown = f"{self.processor}/{metric}" if self._groups else self.processor
            label_sets = self._registry.label_sets(
                names, self._max_series, self._idle_timeout_ns, shown
            )
            series = self._groups[names] = SeriesRows(label_sets)
        return series

    def _declared(self, instrument: Instrument) -> Instrument:
        self._instruments.append(instrument)
        return instrument
