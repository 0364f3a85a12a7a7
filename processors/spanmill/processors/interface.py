"""What a processor is."""

from __future__ import annotations

from typing import Protocol

from spanmill.spans.batch import SpanBatch


class Processor(Protocol):
    """Derives metrics from batches of spans.

    The built-in ones and an author's own have this in common; a class that derives from this one
    inherits a tick that does nothing. A processor owns no series: it declares its metrics when it
    is made, and adds to them in bulk. Its clock is the arrival time of batches and ticks, never
    wall time, so that the same records give the same state whenever they are read. All calls come
    from one thread, in the order in which the records were taken.
    """

    attributes: tuple[str, ...] = ()
    """The span attributes that it reads: each is a column of every batch."""

    def observe(self, batch: SpanBatch) -> None:
        """Take a batch of accepted spans into account; its arrays are only to be read."""
        ...

    def tick(self, now_ns: int) -> None:
        """Do what time alone makes due; `now_ns` is nanoseconds since the Unix epoch."""
        del now_ns  # most have nothing to do then
