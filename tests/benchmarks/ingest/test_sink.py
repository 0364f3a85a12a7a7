from __future__ import annotations

from benchmarks.ingest.sink import Store
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def body(*span_ids: bytes) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for span_id in span_ids:
        scope.spans.add(trace_id=b"t" * 16, span_id=span_id)
    return request.SerializeToString()


def test_what_was_stored_since_the_last_count_is_added_to_it() -> None:
    store = Store([body(b"span-one", b"span-two")])
    assert store.received() == {"requests": 1, "spans": 2, "distinct": 2}
    store.bodies.append(body(b"span-tre"))
    assert store.received() == {"requests": 2, "spans": 3, "distinct": 3}


def test_a_span_that_came_twice_is_no_other_span() -> None:
    store = Store([body(b"span-one"), body(b"span-one", b"span-two")])
    assert store.received() == {"requests": 2, "spans": 3, "distinct": 2}
