"""What a processor is."""

from __future__ import annotations

from typing import Protocol

from spanmill.spans.batch import SpanBatch


class Processor(Protocol):
    """Derives metrics from batches of spans.

    A processor owns no series: it asks the registry for the rows of label sets and adds to them
    in bulk. Its clock is the arrival time of batches and ticks, never wall time, so that the
    same records give the same state whenever they are read.
    """

    @property
    def name(self) -> str:
        """How logs and metrics name it."""
        ...

    @property
    def attributes(self) -> tuple[str, ...]:
        """The span attributes that it reads as columns."""
        ...

    def observe(self, batch: SpanBatch) -> None:
        """Take a batch of accepted spans into account."""
        ...

    def tick(self, now_ns: int) -> None:
        """Do what time alone makes due; `now_ns` is nanoseconds since the Unix epoch."""
        ...
