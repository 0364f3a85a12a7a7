"""Spans of calls between services, with ids that are never the same twice."""

from __future__ import annotations

import dataclasses
from random import Random

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from benchmarks.instructions.requests import BEGIN_NS, scope_of, service_of, span_of
from spanmill.spans.batch import SpanBatch

SERVICES = 10


def request_of_calls(calls: int, seed: int) -> bytes:
    """A request of so many calls, each a client's span and the server's, of two services."""
    random = Random(seed)
    spans: list[list[Span]] = [[] for _ in range(SERVICES)]
    for _ in range(calls):
        client, server = random.sample(range(SERVICES), 2)
        asked, answered = span_of(random, 0), span_of(random, 0)
        asked.kind, answered.kind = Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_SERVER
        answered.trace_id = asked.trace_id
        answered.parent_span_id = asked.span_id
        spans[client].append(asked)
        spans[server].append(answered)
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=service_of(random, service),
                scope_spans=[ScopeSpans(scope=scope_of(), spans=spans[service])],
            )
            for service in range(SERVICES)
        ]
    ).SerializeToString()


def again(batch: SpanBatch, times: int, apart_ns: int) -> SpanBatch:
    """The same spans for the nth time: with other ids, and so much later each time."""
    changed = np.uint8(times % 256)
    ids = {name: getattr(batch, name).copy() for name in ("trace_id", "span_id", "parent_id")}
    for column in ids.values():
        column[:, 0] ^= changed
    return dataclasses.replace(batch, **ids, arrival_ns=BEGIN_NS + times * apart_ns)
