"""Requests by tenant, from the span attribute `tenant.id`."""

from spanmill.processors import SPAN_KINDS, Metrics, Processor, SpanBatch, service_names

SERVER = SPAN_KINDS.index("SPAN_KIND_SERVER")


class Tenants(Processor):
    attributes = ("tenant.id",)

    def __init__(self, metrics: Metrics) -> None:
        self.requests = metrics.counter(
            "shop_requests_total", "Requests by tenant.", labels=("service", "tenant")
        )

    def observe(self, batch: SpanBatch) -> None:
        labels = [service_names(batch), batch.attributes["tenant.id"]]
        self.requests.add(batch, labels, where=batch.kind == SERVER)
