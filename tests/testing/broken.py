"""Processors that each break the contract in one way."""

from __future__ import annotations

import random
import threading
import time

import numpy as np

from spanmill.processors import (
    Coded,
    Metrics,
    PerSpan,
    Processor,
    Span,
    SpanBatch,
    State,
    service_names,
)


class Counts(Processor):
    """Breaks nothing: what the others derive from."""

    attributes: tuple[str, ...] = ("tenant.id",)

    def __init__(self, metrics: Metrics) -> None:
        self.requests = metrics.counter("requests_total", "Requests.", ("service",))

    def observe(self, batch: SpanBatch) -> None:
        self.requests.add(batch, [service_names(batch)])


class FailsOnNumbers(Counts):
    def observe(self, batch: SpanBatch) -> None:
        for value in batch.attributes["tenant.id"].values:
            value.strip()  # type: ignore[union-attr]  # that is what is wrong with it


class FailsOnNothing(Counts):
    def observe(self, batch: SpanBatch) -> None:
        batch.duration.max()


class ReadsUndeclared(Counts):
    attributes = ()

    def observe(self, batch: SpanBatch) -> None:
        self.requests.add(batch, [batch.attributes["tenant.id"]])


class FailsAtFirstTick(Counts):
    def __init__(self, metrics: Metrics) -> None:
        super().__init__(metrics)
        self.last: list[int] = []

    def observe(self, batch: SpanBatch) -> None:
        super().observe(batch)
        self.last = [batch.arrival_ns]

    def tick(self, now_ns: int) -> None:
        self.last[0] = now_ns


class WritesIntoColumn(Counts):
    def observe(self, batch: SpanBatch) -> None:
        batch.duration[:] = 0


class WritesIntoValues(Counts):
    def observe(self, batch: SpanBatch) -> None:
        names = batch.name.values
        assert isinstance(names, list)
        names[:] = [name.upper() + "!" for name in names]
        super().observe(batch)


class ShowsNothing(Counts):
    def observe(self, batch: SpanBatch) -> None:
        pass


class AsksTheWallClock(Counts):
    def observe(self, batch: SpanBatch) -> None:
        if time.time() > 0:
            super().observe(batch)


class ThrowsDice(Counts):
    def observe(self, batch: SpanBatch) -> None:
        where = np.array([random.random() < 0.5 for _ in range(len(batch))], np.bool_)
        self.requests.add(batch, [service_names(batch)], where=where)


class CountsBatches(Counts):
    def observe(self, batch: SpanBatch) -> None:
        self.requests.add_one(["batches"])


class CountsFirstOnly(Counts):
    def __init__(self, metrics: Metrics) -> None:
        super().__init__(metrics)
        self.seen: set[str] = set()

    def observe(self, batch: SpanBatch) -> None:
        for name in sorted(set(batch.name.values) - self.seen):
            self.requests.add_one([name])
        if len(self.seen) < 100:
            self.seen.update(batch.name.values)


class CountsSinceFirst(Counts):
    """Its figures depend on which span came first."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(metrics)
        self.first: str | None = None

    def observe(self, batch: SpanBatch) -> None:
        if len(batch) and self.first is None:
            self.first = batch.name.values[batch.name.codes[0]]
        self.requests.add(batch, [str(self.first)])


class CountsCodes(Counts):
    def observe(self, batch: SpanBatch) -> None:
        codes = batch.name.codes
        self.requests.add(batch, [Coded(codes, [str(code) for code in range(len(codes))])])


class IgnoresWeights(Counts):
    def observe(self, batch: SpanBatch) -> None:
        self.requests.add(batch, [service_names(batch)], weighted=False)


class RemembersAll(Counts):
    def __init__(self, metrics: Metrics) -> None:
        super().__init__(metrics)
        self.names: set[str] = set()

    def observe(self, batch: SpanBatch) -> None:
        super().observe(batch)
        self.names.update(batch.name.values)


class HoldsALock(Counts):
    def __init__(self, metrics: Metrics) -> None:
        super().__init__(metrics)
        self.lock = threading.Lock()


class DeclaresLater(Counts):
    def __init__(self, metrics: Metrics) -> None:
        super().__init__(metrics)
        self.metrics = metrics

    def observe(self, batch: SpanBatch) -> None:
        self.metrics.counter("late_total", "Late.")


class DeclaresNothing(Processor):
    def __init__(self, metrics: Metrics) -> None:
        pass

    def observe(self, batch: SpanBatch) -> None:
        pass


class FailsPerSpan(PerSpan):
    def __init__(self, metrics: Metrics) -> None:
        self.requests = metrics.counter("requests_total", "Requests.", ("name",))

    def observe_span(self, span: Span) -> None:
        self.requests.add_one([span.name[0]])


class Smooths(Counts):
    """Breaks nothing: its gauge depends on what it holds, and it keeps that."""

    attributes: tuple[str, ...] = ()

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(metrics)
        self.smoothed = metrics.gauge("spans_smoothed", "Spans a batch, smoothed.")
        self.last = 0.0
        self.sizes: list[int] = []

    def observe(self, batch: SpanBatch) -> None:
        super().observe(batch)
        self.sizes = [*self.sizes[-9:], len(batch)]
        self.last += (len(batch) - self.last) / 4

    def tick(self, now_ns: int) -> None:
        self.smoothed.set((), self.last)

    def state(self) -> State:
        return {"last": self.last, "sizes": self.sizes}

    def restore(self, state: State) -> None:
        self.last, self.sizes = state["last"], state["sizes"]


class Forgets(Smooths):
    def state(self) -> State:
        return {"sizes": self.sizes}

    def restore(self, state: State) -> None:
        self.sizes = state["sizes"]


class HasNoState(Counts):
    def __init__(self, metrics: Metrics) -> None:
        super().__init__(metrics)
        self.spans = 0

    def observe(self, batch: SpanBatch) -> None:
        self.spans += len(batch)
        self.requests.add(batch, ["many" if self.spans > 200 else "few"])


class KeepsAnObject(Smooths):
    def state(self) -> State:
        return {"last": self.smoothed}


class FailsInState(Smooths):
    def state(self) -> State:
        raise KeyError("last")


class RefusesItsState(Smooths):
    def restore(self, state: State) -> None:
        self.last = state["average"]


class ReturnsItsOwnList(Smooths):
    def observe(self, batch: SpanBatch) -> None:
        self.sizes.append(len(batch))
        self.smoothed.set((), len(self.sizes))
