"""Requests by tenant, from a span attribute."""

from spanmill.processors import SERVER, Metrics, Processor, SpanBatch, service_names


class Tenants(Processor):
    def __init__(self, metrics: Metrics, attribute: str = "tenant.id") -> None:
        self.attributes = (attribute,)
        self.requests = metrics.counter(
            "tenant_requests_total", "Requests by tenant.", labels=("service", "tenant")
        )

    def observe(self, batch: SpanBatch) -> None:
        tenant = batch.attributes[self.attributes[0]]
        self.requests.add(batch, [service_names(batch), tenant], where=batch.kind == SERVER)
