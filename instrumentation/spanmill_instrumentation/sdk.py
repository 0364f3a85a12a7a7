"""OpenTelemetry's SDK, set up. The only module here that imports it; loaded only when on."""

from __future__ import annotations

import uuid

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from spanmill_instrumentation.settings import TelemetrySettings


class DeadlineBatchSpanProcessor(BatchSpanProcessor):
    """A batch processor whose shutdown takes a deadline."""

    def shutdown_within(self, timeout: float) -> bool:
        """Export what is queued within `timeout` seconds; True if the exporter got to its end."""
        # The SDK has the deadline, but its public shutdown() always passes 30 s. The version is
        # pinned, so that the private name can't change under us.
        batches = self._batch_processor
        batches.shutdown(timeout_millis=int(timeout * 1000))
        return not batches._worker_thread.is_alive()


def started_provider() -> TracerProvider | None:
    """The SDK's global tracer provider, if somebody has set one."""
    provider = trace.get_tracer_provider()
    return provider if isinstance(provider, TracerProvider) else None


def start(settings: TelemetrySettings) -> tuple[TracerProvider, DeadlineBatchSpanProcessor]:
    """Make the tracer provider, set it as the global one, and start its exporting thread.

    The sampler, the propagators, headers, timeouts, compression and the batching come from the
    OTEL_* variables, which the SDK reads by itself.
    """
    resource = _resource(settings)
    processor = DeadlineBatchSpanProcessor(_exporter(settings))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return provider, processor


def _resource(settings: TelemetrySettings) -> Resource:
    attributes = dict(settings.resource_attributes)
    if settings.service_name:
        attributes[SERVICE_NAME] = settings.service_name
    resource = Resource.create(attributes)
    if SERVICE_INSTANCE_ID in resource.attributes:
        return resource
    # The SDK's own detector can be configured away; without the id two workers look like one.
    return resource.merge(Resource({SERVICE_INSTANCE_ID: str(uuid.uuid4())}))


def _exporter(settings: TelemetrySettings) -> SpanExporter:
    if settings.protocol == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
            OTLPSpanExporter as HttpSpanExporter,
        )

        return HttpSpanExporter(endpoint=settings.endpoint)
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
        OTLPSpanExporter as GrpcSpanExporter,
    )

    return GrpcSpanExporter(endpoint=settings.endpoint)
