"""Requests by tenant, one span at a time."""

from __future__ import annotations

from spanmill.processors import Metrics, PerSpan, Span


class Tenants(PerSpan):
    attributes = ("tenant.id",)

    def __init__(self, metrics: Metrics) -> None:
        self.requests = metrics.counter(
            "tenant_requests_total", "Requests by tenant.", labels=("service", "tenant")
        )

    def observe_span(self, span: Span) -> None:
        if span.kind == "SPAN_KIND_SERVER":
            labels = (span.service, span.attribute("tenant.id"))
            self.requests.add_one(labels, span.weight)
