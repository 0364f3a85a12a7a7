"""Apdex: how many requests were fast enough for their users, by service."""

import numpy as np

from spanmill.processors import ERROR, SERVER, Coded, Metrics, Processor, SpanBatch, service_names

SCORES = ("satisfied", "tolerating", "frustrated")


class Apdex(Processor):
    def __init__(self, metrics: Metrics, threshold_seconds: float = 0.5) -> None:
        self.bounds_ns = [threshold_seconds * 1e9, 4 * threshold_seconds * 1e9]
        self.requests = metrics.counter(
            "apdex_requests_total", "Requests by how fast they were.", labels=("service", "score")
        )

    def observe(self, batch: SpanBatch) -> None:
        scores = np.searchsorted(self.bounds_ns, batch.duration).astype(np.int32)
        scores[batch.status == ERROR] = SCORES.index("frustrated")
        labels = [service_names(batch), Coded(scores, SCORES)]
        self.requests.add(batch, labels, where=batch.kind == SERVER)
