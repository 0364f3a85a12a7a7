"""Calls, durations and sizes of spans by label set, in Tempo's and the Collector's names.

The names and labels are those of Tempo's metrics generator (`tempo`) and of the Collector's
`span_metrics` connector (`otel`), so that Grafana's and Jaeger's own queries find them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spanmill.config.span_metrics import Dialect
from spanmill.kernels import load_kernel
from spanmill.processors.sampled_calls import SampledCalls
from spanmill.series.aliases import Aliases
from spanmill.series.counter import CounterColumn
from spanmill.series.exemplars import ExemplarPool
from spanmill.series.histogram import HistogramColumn
from spanmill.series.label_sets import OVERFLOW_ROW
from spanmill.series.label_values import label_value
from spanmill.series.names import SpanNames
from spanmill.series.registry import MILLISECONDS, SECONDS, LabelDialect, Registry
from spanmill.series.snapshot import Family, LabelValues
from spanmill.series.targets import Target, Targets
from spanmill.spans.batch import (
    ABSENT,
    SPAN_KINDS,
    STATUS_CODES,
    AttributeValue,
    Coded,
    Groups,
    Resource,
    SpanBatch,
)
from spanmill.spans.groups import combined, groups_of
from spanmill.spans.status_messages import status_messages
from spanmill.telemetry import Telemetry

_ERROR = STATUS_CODES.index("STATUS_CODE_ERROR")


@dataclass(frozen=True, slots=True)
class SpanMetricsSettings:
    """What is counted by what; `buckets_ns` has each dialect's bounds in nanoseconds.

    `dimensions` maps each attribute key to its label name. `status_message` adds that label to
    errors, `instance` and `job` the labels that join to `traces_target_info`.
    """

    dialects: tuple[Dialect, ...]
    dimensions: dict[str, str]
    buckets_ns: dict[Dialect, tuple[int, ...]]
    max_series: int
    idle_timeout_ns: int
    status_message: bool = False
    job: bool = False
    instance: bool = False


class SpanMetrics:
    """Counts every span once, in the series of its label set.

    A label set is service, span name (as `names` makes it a label), kind, status and the
    configured dimensions; a dimension is looked up in the span's attributes, then in the
    resource's.
    """

    name = "span_metrics"

    def __init__(
        self,
        settings: SpanMetricsSettings,
        registry: Registry,
        telemetry: Telemetry,
        names: SpanNames,
        exemplars: ExemplarPool | None = None,
    ) -> None:
        self.attributes = tuple(settings.dimensions)
        self._telemetry = telemetry
        self._names = names
        self._status_message = settings.status_message
        self._job = settings.job
        self._instance = settings.instance
        common = (
            *("span_name", "span_kind", "status_code"),
            *(("status_message",) if settings.status_message else ()),
            *settings.dimensions.values(),
            *(("instance",) if settings.instance else ()),
            *(("job",) if settings.job else ()),
        )
        self.label_sets = registry.label_sets(
            ("service", *common), settings.max_series, settings.idle_timeout_ns, self.name
        )
        kernel = load_kernel("spanmill.series._aliases")
        self._aliases = Aliases(kernel, self.label_sets) if kernel is not None else None
        self._targets = Targets(Target)
        self._calls = CounterColumn(self.label_sets)
        self._sizes = CounterColumn(self.label_sets)
        self._sampled = SampledCalls(registry, self.label_sets)
        layouts_ns = [settings.buckets_ns[dialect] for dialect in settings.dialects]
        self._durations = HistogramColumn(
            self.label_sets, layouts_ns, native="tempo" in settings.dialects
        )
        self._exemplar_pool = exemplars
        self._exemplars = (
            exemplars.histogram(self.label_sets, layouts_ns) if exemplars is not None else None
        )
        if exemplars is not None:
            registry.keep("exemplars", exemplars)
        for layout, dialect in enumerate(settings.dialects):
            if dialect == "tempo":
                self._expose_tempo(registry, layout)
            else:
                labels = ("service_name", *common)
                values = _without_plain_job if settings.job else tuple
                self._expose_otel(registry, layout, LabelDialect(labels, values))

    def observe(self, batch: SpanBatch) -> None:
        """Count the spans of a batch."""
        if not len(batch):
            return
        rows = self._rows(batch)
        weighted = self._durations.observe_spans(
            rows,
            batch.duration,
            batch.weight,
            sizes=batch.size,
            calls=self._calls,
            size_sums=self._sizes,
        )
        if weighted:
            self._sampled.count(rows, batch.weight)
        if self._exemplars is not None:
            self._exemplars.observe(
                rows,
                batch.duration,
                trace_ids=batch.trace_id,
                span_ids=batch.span_id,
                errors=batch.status == _ERROR,
                arrival_ns=batch.arrival_ns,
            )
        overflowed = int(np.count_nonzero(rows == OVERFLOW_ROW))
        self._telemetry.spans_accepted.add(len(batch) - overflowed, "counted_own")
        if overflowed:
            self._telemetry.spans_accepted.add(overflowed, "counted_overflow")
            self._telemetry.series_overflow.add(overflowed)

    def tick(self, now_ns: int) -> None:
        """Drop exemplars that have grown old; the registry expires idle series."""
        if self._exemplar_pool is not None:
            self._exemplar_pool.expire(now_ns)

    def memory(self) -> dict[str, int]:
        """The bytes of what is kept for label sets, by component."""
        aliases, exemplars = self._aliases, self._exemplars
        return {
            "label sets": self.label_sets.nbytes(),
            "histograms": self._durations.nbytes(),
            "calls and sizes": self._calls.nbytes() + self._sizes.nbytes(),
            "places of exemplars": exemplars.entries.nbytes if exemplars is not None else 0,
            "identities of groups": aliases.nbytes() if aliases is not None else 0,
        }

    def _rows(self, batch: SpanBatch) -> npt.NDArray[np.int64]:
        """The row of each span's label set: int64 (n,)."""
        groups = groups_of(batch, self.attributes)
        if self._status_message:
            messages = status_messages(batch)
            finer = [(groups.codes, len(groups)), (messages.codes, len(messages.values))]
            _, first, inverse, spans = np.unique(
                combined(finer), return_index=True, return_inverse=True, return_counts=True
            )
            return self._looked_up(batch, first, spans, messages)[inverse]
        if self._aliases is None or groups.identities is None:
            rows = self._looked_up(batch, groups.first, groups.counts)
        else:
            rows = self._remembered(batch, groups, groups.identities, self._aliases)
        return rows.take(groups.codes)

    def _remembered(
        self,
        batch: SpanBatch,
        groups: Groups,
        identities: npt.NDArray[np.uint64],
        aliases: Aliases,
    ) -> npt.NDArray[np.int64]:
        """The row of each group, int64 (m,); only what isn't known is looked up by its labels."""
        rows, missing = aliases.find(identities)
        if not len(missing):
            self.label_sets.touch(rows, batch.arrival_ns, groups.counts)
            return rows
        if len(missing) < len(rows):
            known = rows >= 0
            self.label_sets.touch(rows[known], batch.arrival_ns, groups.counts[known])
        found = self._looked_up(batch, groups.first[missing], groups.counts[missing])
        aliases.put(identities, missing, found)
        rows[missing] = found
        return rows

    def _looked_up(
        self,
        batch: SpanBatch,
        first: npt.NDArray[np.int64],
        spans: npt.NDArray[np.int64],
        messages: Coded[str] | None = None,
    ) -> npt.NDArray[np.int64]:
        """The row of each group by its label set, made where it is new: int64 (k,).

        `first` is int64 (k,), a row of each group, `spans` int64 (k,), how many it has.
        """
        columns = [batch.attributes[key] for key in self.attributes]
        labels = []
        resources, names = batch.resource.codes[first].tolist(), batch.name.codes[first].tolist()
        kinds, statuses = batch.kind[first].tolist(), batch.status[first].tolist()
        for i, row in enumerate(first.tolist()):
            target = self._targets.of(batch.resource.values[resources[i]])
            labels.append(
                (
                    *(target.service, self._names.label(batch.name.values[names[i]])),
                    *(SPAN_KINDS[kinds[i]], STATUS_CODES[statuses[i]]),
                    *((label_value(messages.value(row)),) if messages is not None else ()),
                    *self._dimensions(row, columns, target.resource),
                    *((target.instance,) if self._instance else ()),
                    *((target.job,) if self._job else ()),
                )
            )
        return self.label_sets.rows(labels, batch.arrival_ns, spans)

    def _dimensions(
        self, row: int, columns: Sequence[Coded[AttributeValue]], resource: Resource
    ) -> Iterator[str]:
        for key, column in zip(self.attributes, columns, strict=True):
            yield _dimension(column, key, row, resource)

    def _expose_tempo(self, registry: Registry, layout: int) -> None:
        calls = Family("traces_spanmetrics_calls_total", "counter", "Spans by label set.")
        sizes = Family("traces_spanmetrics_size_total", "counter", "Bytes of the serialised spans.")
        latency = Family("traces_spanmetrics_latency", "histogram", "Span duration in seconds.")
        registry.expose_values(calls, self.label_sets, self._calls)
        registry.expose_values(sizes, self.label_sets, self._sizes)
        registry.expose_histogram(
            latency,
            self.label_sets,
            self._durations,
            layout=layout,
            unit_ns=SECONDS,
            native=True,
            exemplars=self._exemplars,
        )

    def _expose_otel(self, registry: Registry, layout: int, labels: LabelDialect) -> None:
        calls = Family("traces_span_metrics_calls_total", "counter", "Spans by label set.")
        duration = Family(
            "traces_span_metrics_duration_milliseconds",
            "histogram",
            "Span duration in milliseconds.",
        )
        registry.expose_values(calls, self.label_sets, self._calls, labels)
        registry.expose_histogram(
            duration,
            self.label_sets,
            self._durations,
            layout=layout,
            unit_ns=MILLISECONDS,
            dialect=labels,
            exemplars=self._exemplars,
        )


def _without_plain_job(labels: LabelValues) -> LabelValues:
    """Leave out a job that is the service: the Collector's series have no such label.

    Where there is a namespace too, only the job tells two services of one name apart.
    """
    return labels if labels[-1] != labels[0] else (*labels[:-1], "")


def _dimension(column: Coded[AttributeValue], key: str, row: int, resource: Resource) -> str:
    code = int(column.codes[row])
    if code == ABSENT:
        return label_value(resource.attributes.get(key))
    return label_value(column.values[code])
