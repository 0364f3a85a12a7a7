"""Processors that look at one span at a time."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from spanmill.processors.interface import Processor
from spanmill.series.targets import service_of
from spanmill.spans.batch import (
    ABSENT,
    SPAN_KINDS,
    STATUS_CODES,
    AttributeValue,
    Coded,
    Resource,
    SpanBatch,
)

T = TypeVar("T")


class Span:
    """One span of a batch; may be kept, but keeps its batch alive."""

    __slots__ = ("_batch", "_row")

    def __init__(self, batch: SpanBatch, row: int) -> None:
        self._batch = batch
        self._row = row

    @property
    def name(self) -> str:
        """The span's name."""
        return _required(self._batch.name, self._row)

    @property
    def service(self) -> str:
        """The service that emitted it, as the span metrics name it."""
        return service_of(_required(self._batch.resource, self._row).attributes)

    @property
    def resource(self) -> Resource:
        """What emitted it: `span.resource.attributes.get(key)`."""
        return _required(self._batch.resource, self._row)

    @property
    def kind(self) -> str:
        """As in `SPAN_KIND_SERVER`."""
        return SPAN_KINDS[self._batch.kind[self._row]]

    @property
    def status(self) -> str:
        """As in `STATUS_CODE_ERROR`."""
        return STATUS_CODES[self._batch.status[self._row]]

    @property
    def start_ns(self) -> int:
        """When it began by its own clock, nanoseconds since the Unix epoch."""
        return int(self._batch.start[self._row])

    @property
    def end_ns(self) -> int:
        """When it ended by its own clock, nanoseconds since the Unix epoch."""
        return int(self._batch.end[self._row])

    @property
    def duration_ns(self) -> int:
        """How long it took, nanoseconds."""
        return int(self._batch.duration[self._row])

    @property
    def weight(self) -> float:
        """How many spans it stands for: 1 without sampling."""
        return float(self._batch.weight[self._row])

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return _hex(self._batch.trace_id, self._row)

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits."""
        return _hex(self._batch.span_id, self._row)

    @property
    def parent_id(self) -> str:
        """16 hexadecimal digits, all 0 for a root."""
        return _hex(self._batch.parent_id, self._row)

    def attribute(self, key: str) -> AttributeValue:
        """One of the declared attributes; None where the span has none."""
        return self._batch.attributes[key].value(self._row)


class PerSpan(Processor):
    """Looks at one span at a time: convenient, and many times the price of columns.

    What is added with `add_one` and `observe_one` takes effect at the end of the batch.
    """

    def observe(self, batch: SpanBatch) -> None:
        """Look at each span of a batch."""
        observe_span = self.observe_span
        for row in range(len(batch)):
            observe_span(Span(batch, row))

    def observe_span(self, span: Span) -> None:
        """Take one span into account."""
        raise NotImplementedError("a PerSpan needs a method observe_span(self, span)")


def _required(column: Coded[T], row: int) -> T:
    code = int(column.codes[row])
    assert code != ABSENT, "every span has a resource and a name"
    return column.values[code]


def _hex(ids: npt.NDArray[np.uint8], row: int) -> str:
    return bytes(ids[row]).hex()
