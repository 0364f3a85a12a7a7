"""Requests of a chosen number of spans, made of recorded ones, with new ids and times as of now."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from spanmill.clock import Clock
from spanmill.errors import StartError


@dataclass(frozen=True, slots=True)
class Request:
    """A serialised `ExportTraceServiceRequest` and how many spans it holds."""

    body: bytes
    spans: int


def read_recording(file: Path) -> list[ExportTraceServiceRequest]:
    """The requests of a recording: zstd over [4-byte big-endian length][request], repeated."""
    try:
        with file.open("rb") as opened:
            framed = zstandard.ZstdDecompressor().stream_reader(opened).read()
    except OSError as error:
        raise StartError(f"{file}: {error.strerror}: name the recording with --data") from error
    requests: list[ExportTraceServiceRequest] = []
    position = 0
    while position < len(framed):
        (length,) = struct.unpack_from(">I", framed, position)
        position += 4 + length
        requests.append(ExportTraceServiceRequest.FromString(framed[position - length : position]))
    return requests


def regroup(
    recording: Sequence[ExportTraceServiceRequest], batch: int, limit: int | None = None
) -> list[ExportTraceServiceRequest]:
    """The same spans in the same order, `batch` a request (the last one has the rest).

    Every span stays under its resource and scope; groups that a border cuts are repeated in the
    next request. Groups are not merged, just as the Collector's batching does not merge them.
    """
    requests: list[ExportTraceServiceRequest] = []
    room = 0
    for resource, scope, span in _spans(recording, limit):
        if not room:
            requests.append(ExportTraceServiceRequest())
            room = batch
            last_resource, last_scope = None, None
        if resource is not last_resource:
            resource_spans = requests[-1].resource_spans.add(schema_url=resource.schema_url)
            resource_spans.resource.CopyFrom(resource.resource)
            last_resource, last_scope = resource, None
        if scope is not last_scope:
            scope_spans = resource_spans.scope_spans.add(schema_url=scope.schema_url)
            scope_spans.scope.CopyFrom(scope.scope)
            last_scope = scope
        scope_spans.spans.append(span)
        room -= 1
    return requests


def _spans(
    recording: Sequence[ExportTraceServiceRequest], limit: int | None
) -> Iterator[tuple[ResourceSpans, ScopeSpans, Span]]:
    remaining = -1 if limit is None else limit
    for request in recording:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    if not remaining:
                        return
                    remaining -= 1
                    yield resource, scope, span


class Payloads:
    """Serialises the same requests again and again; every pass has ids and times of its own.

    With `label_sets` the spans are of that many label sets, one after the other in an order
    without locality: all of one resource, name, kind and status, each of another `http.route`.
    Else they stay what they were.
    """

    def __init__(
        self,
        requests: Sequence[ExportTraceServiceRequest],
        clock: Clock,
        random_source: random.Random,
        label_sets: int | None = None,
    ) -> None:
        self._requests = requests
        self._routes = _Routes(label_sets) if label_sets is not None else None
        if self._routes is not None:
            for request in requests:
                self._routes.make_alike(request, requests[0].resource_spans[0])
        self._clock = clock
        self._random = random_source
        self._end = max(
            (span.end_time_unix_nano for _, _, span in _spans(requests, None)), default=0
        )

    @property
    def warm_up_passes(self) -> int:
        """How many passes it takes until every label set was there."""
        if self._routes is None:
            return 1
        spans = sum(1 for _ in _spans(self._requests, None))
        return -(-self._routes.count // spans)

    def next_pass(self) -> list[Request]:
        """All requests, their newest span ending now.

        Ids are XORed with one random mask a pass: distinct ids stay distinct, and parents and
        links still point where they did.
        """
        shift = self._clock.time_ns() - self._end
        self._end += shift
        trace_mask, span_mask = self._random.getrandbits(128), self._random.getrandbits(64)
        payload: list[Request] = []
        for request in self._requests:
            spans = 0
            for _, _, span in _spans([request], None):
                _rewrite(span, trace_mask, span_mask, shift)
                if self._routes is not None:
                    self._routes.set_next(span)
                spans += 1
            payload.append(Request(request.SerializeToString(), spans))
        return payload


class _Routes:
    """Gives spans the values of `http.route` in turn."""

    _ROUTE = "http.route"
    _STEP = 7919
    """A prime, larger than a cache line's worth of rows: neighbours in time aren't in memory."""

    def __init__(self, count: int) -> None:
        if count % self._STEP == 0:
            raise StartError(f"the number of label sets can't be a multiple of {self._STEP}")
        self.count = count
        self._next = 0

    def make_alike(self, request: ExportTraceServiceRequest, emitter: ResourceSpans) -> None:
        """One resource, name, kind and status for all spans."""
        for resource in request.resource_spans:
            resource.resource.CopyFrom(emitter.resource)
        for _, _, span in _spans([request], None):
            span.name = "GET"
            span.kind = Span.SPAN_KIND_SERVER
            span.ClearField("status")
            kept = [pair for pair in span.attributes if pair.key != self._ROUTE]
            del span.attributes[:]
            span.attributes.extend(kept)
            span.attributes.add(key=self._ROUTE)

    def set_next(self, span: Span) -> None:
        """The next route."""
        self._next = (self._next + self._STEP) % self.count
        span.attributes[-1].value.string_value = f"/api/v1/tenants/{self._next:06d}/items"


def _rewrite(span: Span, trace_mask: int, span_mask: int, shift: int) -> None:
    span.trace_id = _masked(span.trace_id, trace_mask)
    span.span_id = _masked(span.span_id, span_mask)
    if span.parent_span_id:
        span.parent_span_id = _masked(span.parent_span_id, span_mask)
    for link in span.links:
        link.trace_id = _masked(link.trace_id, trace_mask)
        link.span_id = _masked(link.span_id, span_mask)
    span.start_time_unix_nano += shift
    span.end_time_unix_nano += shift
    for event in span.events:
        event.time_unix_nano += shift


def _masked(identifier: bytes, mask: int) -> bytes:
    return (int.from_bytes(identifier) ^ mask).to_bytes(len(identifier))
