"""The books balance at every scrape."""

from __future__ import annotations

import threading

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from running_processor import Labels, RunningProcessor, Samples, Start
from waiting import Eventually


def total(samples: Samples, name: str, **labels: str) -> float:
    wanted: Labels = frozenset(labels.items())
    return sum(value for (found, of), value in samples.items() if found == name and wanted <= of)


def balance(samples: Samples, *exporters: str) -> float:
    """Compare both sides of every identity; returns the accepted spans."""
    accepted = total(samples, "spanmill_spans_received_total", outcome="accepted")
    assert accepted == total(samples, "spanmill_spans_accepted_total")
    assert accepted == total(samples, "traces_spanmetrics_calls_total")
    assert accepted == total(samples, "traces_span_metrics_calls_total")
    for exporter in exporters:
        answered = total(samples, "spanmill_export_spans_total", exporter=exporter)
        queued = total(samples, "spanmill_export_queued_spans", exporter=exporter)
        assert accepted == answered + queued, exporter
    return accepted


def spans_in(body: bytes) -> int:
    request = ExportTraceServiceRequest.FromString(body)
    return sum(len(c.spans) for r in request.resource_spans for c in r.scope_spans)


def with_bad_ids(body: bytes, every: int) -> tuple[bytes, int]:
    """The request with a wrong trace id on every n-th span, and how many these are."""
    request = ExportTraceServiceRequest.FromString(body)
    spans = [s for r in request.resource_spans for c in r.scope_spans for s in c.spans]
    for span in spans[::every]:
        span.trace_id = b"short"
    return request.SerializeToString(), len(spans[::every])


def scrape_until(processor: RunningProcessor, done: threading.Event, found: list[Samples]) -> None:
    while not done.is_set():
        found.append(processor.scrape())


def test_the_books_balance_at_every_scrape_under_load(
    start: Start, astronomy_requests: list[bytes]
) -> None:
    sink = start()
    gone = "http://127.0.0.1:1"
    processor = start(
        span_metrics={"max_series": 30},
        exporters={
            "otlp_traces": {
                "up": {"endpoint": f"http://127.0.0.1:{sink.ports['http']}"},
                "grpc": {"endpoint": f"127.0.0.1:{sink.ports['grpc']}", "protocol": "grpc"},
                "down": {"endpoint": gone, "max_backlog": "1MiB"},
            }
        },
    )
    done, scrapes = threading.Event(), list[Samples]()
    watcher = threading.Thread(target=scrape_until, args=(processor, done, scrapes))
    watcher.start()
    invalid = sent = 0
    try:
        for number, request in enumerate(astronomy_requests[4:200]):
            body, bad = with_bad_ids(request, 4) if number % 3 == 0 else (request, 0)
            invalid += bad
            sent += spans_in(request)
            (processor.send_grpc if number % 2 else processor.send_http)(body)
    finally:
        done.set()
        watcher.join()
    accepted = [balance(samples, "up", "grpc", "down") for samples in scrapes]
    assert len(set(accepted)) > 3, "the scrapes did not see the load"
    last = processor.scrape()
    assert balance(last, "up", "grpc", "down") == sent - invalid
    for book in ("processing", "up", "grpc", "down"):
        differences = {total(s, "spanmill_books_difference_spans", book=book) for s in scrapes}
        assert differences == {0.0}, book
    assert total(last, "spanmill_spans_received_total", outcome="invalid") == invalid
    assert total(last, "spanmill_receiver_refused_items_total") == invalid
    assert total(last, "spanmill_spans_accepted_total", outcome="counted_overflow") > 0
    assert total(last, "spanmill_export_spans_total", exporter="down", outcome="expired") > 0


def test_what_is_delivered_arrives(
    start: Start, astronomy_requests: list[bytes], eventually: Eventually
) -> None:
    sink = start()
    processor = start(
        exporters={"otlp_traces": {"up": {"endpoint": f"http://127.0.0.1:{sink.ports['http']}"}}}
    )
    for body in astronomy_requests[4:60]:
        processor.send_grpc(body)
    accepted = balance(processor.scrape(), "up")
    eventually(
        lambda: balance(sink.scrape()) == accepted, "the second processor has all of the first's"
    )
    eventually(
        lambda: (
            total(processor.scrape(), "spanmill_export_spans_total", outcome="delivered")
            == accepted
        ),
        "all of it is delivered",
    )
