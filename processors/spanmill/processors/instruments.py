"""What a processor adds to: counters, histograms and gauges, a whole batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.errors import DeclarationError
from spanmill.journal.state import State
from spanmill.processors.label_groups import Label, LabelGroups, label_groups
from spanmill.series.column import grown
from spanmill.series.counter import CounterColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.label_sets import OVERFLOW_ROW, LabelSets
from spanmill.series.label_values import label_value
from spanmill.series.snapshot import LabelValues
from spanmill.series.state_reader import StateReader
from spanmill.spans.batch import AttributeValue, SpanBatch

Where = npt.NDArray[np.bool_] | None

_MAX_VALUE: Final = 2**63


class SeriesRows:
    """The label sets of some metrics, and the moment for which they are looked up."""

    def __init__(self, label_sets: LabelSets) -> None:
        self.label_sets = label_sets
        self.now_ns: int | None = None
        """Arrival of the batch or time of the tick; None while the processor is made."""

    def group(self, batch: SpanBatch, labels: Sequence[Label], where: Where) -> LabelGroups:
        """The groups of a batch by these labels, as many as the metrics have."""
        names = self.label_sets.names
        if isinstance(labels, str) or len(labels) != len(names):
            given = "one text" if isinstance(labels, str) else len(labels)
            raise DeclarationError(
                f"labels must have one column for each of ({', '.join(names)}); given {given}"
            )
        return label_groups(labels, len(batch), where)

    def key(self, metric: str, labels: Sequence[AttributeValue]) -> LabelValues:
        """One label set."""
        names = self.label_sets.names
        if isinstance(labels, str) or len(labels) != len(names):
            raise DeclarationError(
                f"{metric} needs a value for each of its labels ({', '.join(names)}); "
                f"given {labels!r}"
            )
        return tuple(map(label_value, labels))

    def rows(
        self, keys: Sequence[LabelValues], counts: npt.NDArray[np.int64] | None
    ) -> npt.NDArray[np.int64]:
        """The row of each label set, made where it is new."""
        if self.now_ns is None:
            raise DeclarationError(
                "a metric can only be added to in observe() and tick(), where there is a time"
            )
        return self.label_sets.rows(keys, self.now_ns, counts)


class Counter:
    """A sum for each label set, which only grows."""

    def __init__(self, name: str, series: SeriesRows, column: CounterColumn) -> None:
        self.name = name
        self._series = series
        self._column = column
        self._waiting: dict[LabelValues, list[float]] = {}

    def add(
        self,
        batch: SpanBatch,
        labels: Sequence[Label] = (),
        *,
        amounts: npt.NDArray[np.generic] | None = None,
        where: Where = None,
        weighted: bool = True,
    ) -> None:
        """Add the spans of a batch, each to the series of its label values.

        - `labels`: a coded column, or one text for all spans, for each label in its order.
        - `amounts`: what each span adds, 0 or more, (n,); 1 without.
        - `where`: bool (n,), which spans count; all without.
        - `weighted`: whether a span that stands for several (sampled input) counts as many
          times.

        Raises DeclarationError where shapes don't fit, or an amount is negative or no number.
        """
        groups = self._series.group(batch, labels, where)
        if not groups.labels:
            return
        given = _amounts(batch, amounts, weighted=weighted)
        if given is None:
            sums = groups.counts.astype(np.float64)
        else:
            sums = groups.sums(groups.of_rows(given))
        if amounts is not None and not (np.isfinite(sums) & (sums >= 0)).all():
            raise DeclarationError(
                f"{self.name}: a counter only grows, so amounts must be numbers of 0 or more"
            )
        self._column.add(self._series.rows(groups.labels, groups.counts), sums)

    def add_one(self, labels: Sequence[AttributeValue] = (), amount: float = 1.0) -> None:
        """Add to one label set, given by its values; 0 shows the series.

        Weights are up to the caller: `amount=span.weight`. What is added so takes effect at the
        end of the call of `observe` or `tick`.
        """
        if not 0 <= amount < float("inf"):
            raise DeclarationError(f"{self.name}: a counter only grows; given {amount!r}")
        key = self._series.key(self.name, labels)
        entry = self._waiting.get(key)
        if entry is None:
            self._waiting[key] = [amount, 1]
        else:
            entry[0] += amount
            entry[1] += 1

    def end_call(self, *, keep: bool) -> None:
        """Let what was added one by one take effect, or forget it."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, {}
        if keep:
            entries = np.array(list(waiting.values()))
            rows = self._series.rows(list(waiting), entries[:, 1].astype(np.int64))
            self._column.add(rows, entries[:, 0])


class Histogram:
    """How values are spread, for each label set: in classic buckets, in seconds natively too."""

    def __init__(self, name: str, series: SeriesRows, column: HistogramColumn) -> None:
        self.name = name
        self._series = series
        self._column = column
        self._waiting: dict[LabelValues, list[tuple[int, float]]] = {}

    def observe(
        self,
        batch: SpanBatch,
        labels: Sequence[Label] = (),
        *,
        values: npt.NDArray[np.generic] | None = None,
        where: Where = None,
        weighted: bool = True,
    ) -> None:
        """Count a value of each span of a batch, in the series of its label values.

        - `labels`, `where`, `weighted`: as in `Counter.add`.
        - `values`: (n,), 0 or more: whole nanoseconds for a metric in seconds, else whole numbers
          of its unit (fractions are rounded). Without, the span's duration.

        Raises DeclarationError where shapes don't fit, or a value is negative or no number.
        """
        groups = self._series.group(batch, labels, where)
        if not groups.labels:
            return
        given = batch.duration if values is None else _whole(self.name, values, len(batch))
        weights = batch.weight if weighted else np.ones(len(batch))
        rows = groups.spread(self._series.rows(groups.labels, groups.counts))
        self._column.observe(rows, groups.of_rows(given), groups.of_rows(weights))

    def observe_one(
        self, labels: Sequence[AttributeValue], value: int, weight: float = 1.0
    ) -> None:
        """Count one value: whole nanoseconds for a metric in seconds; as `Counter.add_one`."""
        if not 0 <= value < _MAX_VALUE:
            raise DeclarationError(f"{self.name}: a value is 0 or more; given {value!r}")
        key = self._series.key(self.name, labels)
        self._waiting.setdefault(key, []).append((value, weight))

    def end_call(self, *, keep: bool) -> None:
        """Let what was observed one by one take effect, or forget it."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, {}
        if not keep:
            return
        counts = np.array([len(values) for values in waiting.values()])
        rows = np.repeat(self._series.rows(list(waiting), counts), counts)
        observed = [entry for values in waiting.values() for entry in values]
        self._column.observe(
            rows,
            np.array([value for value, _ in observed], np.uint64),
            np.array([weight for _, weight in observed], np.float64),
        )


class Gauge:
    """A value for each label set, the one that was set last."""

    def __init__(self, name: str, series: SeriesRows, column: LatestValues) -> None:
        self.name = name
        self._series = series
        self._column = column
        self._waiting: dict[LabelValues, float] = {}

    def set(self, labels: Sequence[AttributeValue], value: float) -> None:
        """Replace the value of one label set; it takes effect at the end of the call.

        A label set that finds no room isn't shown: many values can't share one series.
        """
        self._waiting[self._series.key(self.name, labels)] = value

    def end_call(self, *, keep: bool) -> None:
        """Let what was set take effect, or forget it."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, {}
        if keep:
            rows = self._series.rows(list(waiting), None)
            self._column.put(rows, np.fromiter(waiting.values(), np.float64, len(waiting)))


class LatestValues:
    """The value of each label set that was set last, float64; NaN where none was."""

    def __init__(self, label_sets: LabelSets) -> None:
        self._values = np.zeros(0)
        self._given = np.zeros(0, np.bool_)
        label_sets.attach(self)

    def put(self, rows: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> None:
        """Replace the values (n,) at rows (n,), none of which comes twice; not the overflow's."""
        own = rows != OVERFLOW_ROW
        self._values[rows[own]] = values[own]
        self._given[rows[own]] = True

    def given(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Those of these rows that have a value."""
        return rows[self._given[rows]]

    def values(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """A copy of the values at these rows."""
        return self._values[rows]

    def kept(self, rows: npt.NDArray[np.int64]) -> State:
        """A copy of the values at these rows, and which have one."""
        return {"values": self._values[rows], "given": self._given[rows]}

    def restoring(self, rows: npt.NDArray[np.int64], state: StateReader) -> Callable[[], None]:
        """What puts kept values at these rows."""
        values = state.array("values", np.float64, rows.shape)
        given = state.array("given", np.bool_, rows.shape)

        def restore() -> None:
            self._values[rows] = values
            self._given[rows] = given

        return restore

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows; new ones have no value."""
        self._values = grown(self._values, capacity)
        self._given = grown(self._given, capacity)

    def reset(self, row: int) -> None:
        """Empty one row, which another label set will use."""
        self._values[row] = 0.0
        self._given[row] = False


def _amounts(
    batch: SpanBatch, amounts: npt.NDArray[np.generic] | None, *, weighted: bool
) -> npt.NDArray[np.float64] | None:
    """What each span adds; None where that is 1."""
    if amounts is None:
        return batch.weight if weighted else None
    _check_shape(amounts, len(batch), "amounts")
    given = amounts.astype(np.float64)
    return given * batch.weight if weighted else given


def _whole(metric: str, values: npt.NDArray[np.generic], spans: int) -> npt.NDArray[np.uint64]:
    _check_shape(values, spans, "values")
    if values.dtype.kind == "u":
        return values.astype(np.uint64, copy=False)
    numbers = values.astype(np.float64) if values.dtype.kind == "f" else values
    if len(values) and not (numbers.min() >= 0 and numbers.max() < _MAX_VALUE):
        raise DeclarationError(
            f"{metric}: values must be numbers of 0 or more; {numbers.min()} to {numbers.max()} "
            "were given"
        )
    return (
        np.rint(numbers).astype(np.uint64) if values.dtype.kind == "f" else values.astype(np.uint64)
    )


def _check_shape(array: npt.NDArray[np.generic], spans: int, what: str) -> None:
    if array.shape != (spans,) or array.dtype.kind not in "buif":
        raise DeclarationError(
            f"{what} must be a number for each of the {spans} spans of the batch; given "
            f"{array.dtype} of shape {array.shape}"
        )
