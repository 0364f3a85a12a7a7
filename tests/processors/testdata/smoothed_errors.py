"""Errors of each service, smoothed: a gauge that depends on all that came before."""

from __future__ import annotations

import numpy as np

from spanmill.processors import ERROR, Metrics, Processor, SpanBatch, State, service_names


class SmoothedErrors(Processor):
    def __init__(self, metrics: Metrics) -> None:
        self.smoothed = metrics.gauge("errors_smoothed", "Errors.", ("service",))
        self.sizes = metrics.histogram(
            "span_size_bytes", "Sizes.", ("service",), unit="bytes", buckets=[100, 1000]
        )
        self.starts = metrics.counter("smoothed_starts_total", "Starts.", ("service",))
        self.starts.add_one(["all"])
        self.last: dict[str, float] = {}

    def observe(self, batch: SpanBatch) -> None:
        services = service_names(batch)
        self.sizes.observe(batch, [services], values=batch.size)
        failed = services.codes[batch.status == ERROR]
        for code, errors in enumerate(np.bincount(failed, minlength=len(services.values)).tolist()):
            service = services.values[code]
            before = self.last.get(service, 0.0)
            self.last[service] = before + (errors - before) / 8

    def tick(self, now_ns: int) -> None:
        for service, value in self.last.items():
            self.smoothed.set([service], value)

    def state(self) -> State:
        return {"last": dict(self.last)}

    def restore(self, state: State) -> None:
        self.last = state["last"]
