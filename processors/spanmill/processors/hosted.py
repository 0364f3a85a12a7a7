"""A processor of an author's own, with the metrics that it declared."""

from __future__ import annotations

from spanmill.processors.interface import Processor
from spanmill.processors.metrics import Metrics
from spanmill.processors.read_only import make_read_only
from spanmill.spans.batch import SpanBatch


class HostedProcessor:
    """Calls a processor with its metrics set to the moment of the batch or tick.

    The batch's arrays are made read-only first: a processor that wrote into them would change
    what the next ones see. What was added one by one is forgotten where the call fails.
    """

    def __init__(self, processor: Processor, metrics: Metrics) -> None:
        self.processor = processor
        self.metrics = metrics
        self.attributes = processor.attributes

    def observe(self, batch: SpanBatch) -> None:
        """Let it take a batch into account."""
        make_read_only(batch)
        self.metrics.begin_call(batch.arrival_ns)
        done = False
        try:
            self.processor.observe(batch)
            done = True
        finally:
            self.metrics.end_call(keep=done)

    def tick(self, now_ns: int) -> None:
        """Let it do what time alone makes due."""
        self.metrics.begin_call(now_ns)
        done = False
        try:
            self.processor.tick(now_ns)
            done = True
        finally:
            self.metrics.end_call(keep=done)
