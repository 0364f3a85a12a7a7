"""Links are read from the bytes of the rows asked for."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanmill.spans.links import span_links
from spanmill.testing import Span as Row
from spanmill.testing import batch_of
from spans.both_decoders import BothDecoders

A, B = (b"\x01" * 16, b"\x02" * 8), (b"\x03" * 16, b"\x04" * 8)


def span(*links: tuple[bytes, bytes]) -> Span:
    made = Span(trace_id=b"\x09" * 16, span_id=b"\x09" * 8)
    for trace_id, span_id in links:
        made.links.add(trace_id=trace_id, span_id=span_id).attributes.add(key="links")
    return made


def links(*spans: Span, rows: list[int]) -> list[tuple[tuple[bytes, bytes], ...]]:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    batch = BothDecoders(()).decode(request.SerializeToString()).batch
    return list(span_links(batch, rows))


def test_links_come_in_the_order_of_the_bytes_for_the_rows_asked_for() -> None:
    assert links(span(A), span(), span(B, A, B), rows=[2, 1]) == [(B, A, B), ()]


def test_a_link_that_can_point_to_no_span_is_left_out() -> None:
    wrong = [(b"", b""), (A[0], bytes(8)), (A[0][:15], A[1]), (A[0], A[1][:7])]
    assert links(span(*wrong, A), rows=[0]) == [(A,)]


def test_a_batch_without_bytes_has_no_links() -> None:
    assert list(span_links(batch_of([Row()]), [0])) == [()]
