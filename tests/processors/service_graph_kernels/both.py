"""Two service graphs, one by the kernels and one by the reference, given the same batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from processors.service_graph.observed import START, Observed
from spanmill.kernels import SWITCH
from spanmill.processors.service_graph.compiled import CompiledJoining
from spanmill.processors.service_graph.reference import ReferenceJoining
from spanmill.series.snapshot import Histograms, Values
from spanmill.spans.batch import SpanBatch

SECOND = 1_000_000_000


class Both:
    """A compiled service graph and the reference beside it."""

    def __init__(self, **settings: Any) -> None:
        self.compiled = Observed(**settings)
        assert isinstance(self.compiled.processor._joining, CompiledJoining)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(SWITCH, "off")
            self.reference = Observed(**settings)
        assert isinstance(self.reference.processor._joining, ReferenceJoining)

    def observe(self, batch: SpanBatch, at_ns: int = START) -> None:
        for graph in (self.compiled, self.reference):
            graph.processor.observe(batch.arrived(at_ns))

    def tick(self, at_ns: int) -> None:
        for graph in (self.compiled, self.reference):
            graph.processor.tick(at_ns)

    def expire(self, at_ns: int) -> None:
        """Let label sets expire, and exchange their places."""
        for graph in (self.compiled, self.reference):
            graph.registry.expire(at_ns)

    def assert_same(self) -> None:
        assert self.compiled.processor._joining.keys == self.reference.processor._joining.keys
        assert _shown(self.compiled) == _shown(self.reference)


def _shown(graph: Observed) -> Mapping[str, Any]:
    """Everything that the graph shows: labels in their order, and every number bit for bit."""
    shown: dict[str, Any] = {}
    for family in graph.registry.snapshot():
        if "service_graph" not in family.family.name:
            continue
        values: Any
        if isinstance(family.data, Values):
            values = family.data.values.tolist()
        else:
            assert isinstance(family.data, Histograms)
            assert family.data.native is not None
            native = [
                (n.schema, n.zero_count, n.first, n.counts.tolist()) for n in family.data.native
            ]
            values = (family.data.bucket_counts.tolist(), family.data.sums.tolist(), native)
        shown[family.family.name] = (list(family.labels), values)
    return shown
