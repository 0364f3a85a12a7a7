from __future__ import annotations

import random

import pytest
from benchmarks.ingest.payloads import Payloads, regroup
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

NOW = 1_800_000_000_000_000_000


class StoppedClock:
    def time_ns(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def trace(service: str, scopes: dict[str, int]) -> ExportTraceServiceRequest:
    """A request of one resource with so many spans a scope, all children of the first."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add(schema_url="resource-schema")
    resource_spans.resource.attributes.add(key="service.name").value.string_value = service
    for scope, spans in scopes.items():
        scope_spans = resource_spans.scope_spans.add(schema_url="scope-schema")
        scope_spans.scope.name = scope
        for number in range(spans):
            span = scope_spans.spans.add(
                trace_id=service.encode().rjust(16, b"t"),
                span_id=f"{scope}{number}".encode().rjust(8, b"s"),
                parent_span_id=f"{scope}0".encode().rjust(8, b"s") if number else b"",
                name=f"{service}/{scope}/{number}",
                start_time_unix_nano=1000 + number,
                end_time_unix_nano=3000 + number,
            )
            span.events.add(time_unix_nano=2000 + number)
            span.links.add(trace_id=span.trace_id, span_id=span.span_id)
    return request


def described(request: ExportTraceServiceRequest) -> list[tuple[str, ...]]:
    """Resource, scope, both schemas and name of each span."""
    return [
        (
            resource.resource.attributes[0].value.string_value,
            scope.scope.name,
            resource.schema_url,
            scope.schema_url,
            span.name,
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def spans_of(request: ExportTraceServiceRequest) -> list[Span]:
    return [
        span
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


RECORDING = [trace("cart", {"http": 3, "sql": 2}), trace("shop", {"http": 4})]


@pytest.mark.parametrize("batch", [1, 2, 4, 9, 100])
def test_regrouped_spans_keep_their_order_resource_and_scope(batch: int) -> None:
    requests = regroup(RECORDING, batch)
    assert [line for request in requests for line in described(request)] == [
        line for request in RECORDING for line in described(request)
    ]
    assert [len(spans_of(request)) for request in requests[:-1]] == [batch] * (len(requests) - 1)


def test_a_resource_within_one_request_is_not_repeated() -> None:
    (request,) = regroup(RECORDING, 9)
    assert request == ExportTraceServiceRequest(
        resource_spans=[r for recorded in RECORDING for r in recorded.resource_spans]
    )


def test_a_limit_takes_the_first_spans() -> None:
    requests = regroup(RECORDING, 4, limit=6)
    assert [len(spans_of(request)) for request in requests] == [4, 2]


def passes(count: int) -> list[list[Span]]:
    payloads = Payloads(regroup(RECORDING, 4), StoppedClock(), random.Random(1))
    return [
        [
            span
            for request in payloads.next_pass()
            for span in spans_of(ExportTraceServiceRequest.FromString(request.body))
        ]
        for _ in range(count)
    ]


def test_every_pass_has_ids_of_its_own() -> None:
    ids = [(span.trace_id, span.span_id) for spans in passes(3) for span in spans]
    assert len(set(ids)) == len(ids) == 27


def test_parents_and_links_point_where_they_did() -> None:
    for spans in passes(2):
        by_name = {span.name: span for span in spans}
        assert not by_name["cart/http/0"].parent_span_id
        assert by_name["cart/http/2"].parent_span_id == by_name["cart/http/0"].span_id
        assert by_name["cart/http/2"].trace_id == by_name["cart/sql/1"].trace_id
        for span in spans:
            assert (span.links[0].trace_id, span.links[0].span_id) == (span.trace_id, span.span_id)


def test_the_newest_span_of_a_pass_ends_now_and_durations_stay() -> None:
    for spans in passes(2):
        assert max(span.end_time_unix_nano for span in spans) == NOW
        for span in spans:
            assert span.end_time_unix_nano - span.start_time_unix_nano == 2000
            assert span.events[0].time_unix_nano - span.start_time_unix_nano == 1000


def test_a_request_says_how_many_spans_it_holds() -> None:
    payloads = Payloads(regroup(RECORDING, 4), StoppedClock(), random.Random(1))
    assert [request.spans for request in payloads.next_pass()] == [4, 4, 1]


def test_spans_of_chosen_label_sets_differ_in_their_route_alone() -> None:
    payloads = Payloads(regroup(RECORDING, 4), StoppedClock(), random.Random(1), label_sets=20)
    assert payloads.warm_up_passes == 3, "9 spans a pass"
    spans = [
        span
        for _ in range(payloads.warm_up_passes)
        for request in payloads.next_pass()
        for span in spans_of(ExportTraceServiceRequest.FromString(request.body))
    ]
    routes = [
        [a.value.string_value for a in span.attributes if a.key == "http.route"] for span in spans
    ]
    assert all(len(values) == 1 for values in routes)
    assert len({value for (value,) in routes[:20]}) == 20
    assert len({(span.name, span.kind, span.status.code) for span in spans}) == 1
