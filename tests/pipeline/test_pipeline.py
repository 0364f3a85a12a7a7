"""The wiring: what fails harms nothing else, time passes, readiness is told."""

from __future__ import annotations

import logging

import pytest
import urllib3
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from running_processor import RunningProcessor, Samples, Start
from spanmill.spans.batch import SpanBatch
from waiting import Eventually


def spans(count: int, name: str = "work") -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(1, count + 1):
        span = scope.spans.add(name=name)
        span.trace_id, span.span_id = b"t" * 16, number.to_bytes(8)
    return request.SerializeToString()


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_a_processor_that_fails_loses_no_span_and_the_books_balance(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    eventually: Eventually,
) -> None:
    def fail(_: SpanBatch) -> None:
        raise ZeroDivisionError

    sink = start()
    endpoint = {"endpoint": f"http://127.0.0.1:{sink.ports['http']}"}
    processor = start(exporters={"otlp_traces": {"sink": endpoint}})
    processor.send_grpc(spans(2))
    monkeypatch.setattr(processor.pipeline._derivation._processors[0].processor, "observe", fail)
    with caplog.at_level(logging.ERROR):
        assert processor.send_grpc(spans(3)) == b""
        assert processor.send_grpc(spans(3, "more work")) == b""
    samples = processor.scrape()
    assert value(samples, "spanmill_processor_errors_total", processor="span_metrics") == 2
    assert value(samples, "spanmill_spans_accepted_total", outcome="filtered") == 6
    assert value(samples, "spanmill_spans_accepted_total", outcome="counted_own") == 2
    assert value(samples, "spanmill_books_difference_spans", book="processing") == 0
    assert [record.message for record in caplog.records] == ["a processor failed"]
    eventually(
        lambda: value(sink.scrape(), "spanmill_spans_received_total", outcome="accepted") == 8,
        "the destination has all of the spans",
    )


def test_a_difference_in_the_books_is_shown_and_told_once(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    processor = start()
    processor.send_grpc(spans(1))
    processor.pipeline._telemetry.spans_accepted.add(2, "counted_own")
    for _ in range(2):
        difference = value(processor.scrape(), "spanmill_books_difference_spans", book="processing")
        assert difference == -2
    assert [record.message for record in caplog.records] == ["the books don't balance"]


def test_spans_that_come_during_the_end_are_counted_as_refused(start: Start) -> None:
    processor = start()
    processor.pipeline._journal.close()
    with pytest.raises(Exception, match="shutting down"):
        processor.send_grpc(spans(4))
    samples = processor.scrape()
    assert value(samples, "spanmill_spans_received_total", outcome="refused") == 4
    assert value(samples, "spanmill_spans_received_total", outcome="accepted") == 0


def test_a_tick_lets_idle_series_expire(start: Start, eventually: Eventually) -> None:
    processor = start(span_metrics={"idle_timeout": "1ms"})
    processor.send_grpc(spans(1))
    assert value(processor.scrape(), "spanmill_series", processor="span_metrics") == 1

    def expired() -> bool:
        processor.pipeline.tick()
        return value(processor.scrape(), "spanmill_series", processor="span_metrics") == 0

    eventually(expired, "the series has expired")
    assert not any(name.startswith("traces_") for name, _ in processor.scrape())


def test_it_is_ready_between_start_and_stop(start: Start) -> None:
    processor = start()
    assert status(processor, "/readyz") == 200
    processor.pipeline._ready.clear()
    assert status(processor, "/readyz") == 503
    assert status(processor, "/healthz") == 200


def status(processor: RunningProcessor, path: str) -> int:
    return urllib3.request("GET", f"http://127.0.0.1:{processor.ports['scrape']}{path}").status


def test_a_client_is_the_same_over_both_transports_of_a_socket_for_both_families(
    start: Start,
) -> None:
    everywhere = {"endpoint": "[::]:0"}
    processor = start(receivers={"otlp": {"grpc": everywhere, "http": everywhere}})
    processor.send_grpc(spans(5))
    processor.send_http(spans(5))
    samples = processor.scrape()
    assert value(samples, "spanmill_spans_received_total", outcome="accepted") == 5
    assert value(samples, "spanmill_spans_received_total", outcome="duplicate") == 5
