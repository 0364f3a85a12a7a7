"""Recorded requests made new: other times, other ids, other sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

_LATEST: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class IdMask:
    """Gives ids other values, equal ones the same: parents, children and links stay together.

    `trace` (16 bytes) and `span` (8 bytes) are XORed to ids of their length. Ids that are
    invalid (another length, all zero) stay as they are; valid ones stay valid.
    """

    trace: bytes
    span: bytes

    @classmethod
    def drawn(cls, rng: Random) -> IdMask:
        """A mask that hardly ever comes again."""
        return cls(rng.randbytes(16), rng.randbytes(8))

    def trace_id(self, trace_id: bytes) -> bytes:
        """The other trace id."""
        return _masked(trace_id, self.trace)

    def span_id(self, span_id: bytes) -> bytes:
        """The other span id."""
        return _masked(span_id, self.span)


def _masked(given: bytes, mask: bytes) -> bytes:
    if len(given) != len(mask):
        return given
    number = int.from_bytes(given)
    masked = number ^ int.from_bytes(mask)
    # The id that would become all zero keeps its value, which no other valid id can get.
    return masked.to_bytes(len(mask)) if number and masked else given


def shift_request(request: ExportTraceServiceRequest, time_shift_ns: int, id_mask: IdMask) -> None:
    """Move all times of a request and give it other ids, in place.

    Times of spans and events move by `time_shift_ns` and stop at 0 and at 2⁶⁴-1; a time of 0 is
    unset and stays so.
    """
    trace_id, span_id = id_mask.trace_id, id_mask.span_id
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                span.trace_id = trace_id(span.trace_id)
                span.span_id = span_id(span.span_id)
                span.parent_span_id = span_id(span.parent_span_id)
                span.start_time_unix_nano = _moved(span.start_time_unix_nano, time_shift_ns)
                span.end_time_unix_nano = _moved(span.end_time_unix_nano, time_shift_ns)
                for event in span.events:
                    event.time_unix_nano = _moved(event.time_unix_nano, time_shift_ns)
                for link in span.links:
                    link.trace_id = trace_id(link.trace_id)
                    link.span_id = span_id(link.span_id)


def _moved(time_ns: int, shift_ns: int) -> int:
    return min(max(time_ns + shift_ns, 0), _LATEST) if time_ns else 0


def regroup(
    requests: Iterable[ExportTraceServiceRequest], batch_size: int
) -> Iterator[ExportTraceServiceRequest]:
    """The same spans in the same order in requests of `batch_size` spans, the last of fewer.

    Each keeps the resource, the scope and the schema URLs that it had; unknown fields around
    the spans are left out.
    """
    batch = ExportTraceServiceRequest()
    size = 0
    for request in requests:
        for resource_spans in request.resource_spans:
            resource_target: ResourceSpans | None = None
            for scope_spans in resource_spans.scope_spans:
                first = 0
                while first < len(scope_spans.spans):
                    if resource_target is None:
                        resource_target = batch.resource_spans.add()
                        _copy_resource(resource_target, resource_spans)
                    scope_target = resource_target.scope_spans.add()
                    _copy_scope(scope_target, scope_spans)
                    some = scope_spans.spans[first : first + batch_size - size]
                    scope_target.spans.extend(some)
                    first += len(some)
                    size += len(some)
                    if size == batch_size:
                        yield batch
                        batch = ExportTraceServiceRequest()
                        size = 0
                        resource_target = None
    if size:
        yield batch


def _copy_resource(target: ResourceSpans, source: ResourceSpans) -> None:
    if source.HasField("resource"):
        target.resource.CopyFrom(source.resource)
    target.schema_url = source.schema_url


def _copy_scope(target: ScopeSpans, source: ScopeSpans) -> None:
    if source.HasField("scope"):
        target.scope.CopyFrom(source.scope)
    target.schema_url = source.schema_url
