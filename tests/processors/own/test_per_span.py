"""One span at a time gives the same as columns."""

from __future__ import annotations

from processors.own.hosting import Shown
from spanmill.processors import Metrics, PerSpan
from spanmill.processors import Span as SeenSpan
from spanmill.testing import Span, batch_of, check_processor

MS = 1_000_000


class Requests(PerSpan):
    attributes = ("tenant.id",)

    def __init__(self, metrics: Metrics) -> None:
        labels = ("service", "tenant", "status")
        self.requests = metrics.counter("requests_total", "Requests.", labels)
        self.time = metrics.histogram("time_seconds", "Time.", buckets=(0.01,))

    def observe_span(self, span: SeenSpan) -> None:
        if span.kind == "SPAN_KIND_SERVER":
            labels = (span.service, span.attribute("tenant.id"), span.status)
            self.requests.add_one(labels, span.weight)
            self.time.observe_one((), span.duration_ns, span.weight)


def test_it_keeps_the_contract() -> None:
    check_processor(Requests)


def test_spans_are_counted() -> None:
    shown = Shown()
    spans = [
        Span(attributes={"tenant.id": "a"}, duration=5 * MS, weight=2),
        Span(attributes={"tenant.id": 7}, duration=50 * MS, status=2),
        Span(kind=3),
    ]
    shown.host(Requests).observe(batch_of(spans, ["tenant.id"]))
    assert shown.values("requests_total") == {
        ("shop", "a", "STATUS_CODE_UNSET"): 2,
        ("shop", "7", "STATUS_CODE_ERROR"): 1,
    }
    assert shown.counts("time_seconds") == {(): [2, 1]}


def test_a_span_shows_all_that_its_batch_has() -> None:
    batch = batch_of(
        [
            Span(
                name="GET /",
                start=10**18,
                duration=7,
                trace_id=b"\xab" * 16,
                span_id=b"\xcd" * 8,
                resource={"region": "eu"},
            )
        ],
        ["tenant.id"],
    )
    span = SeenSpan(batch, 0)
    assert (span.name, span.kind, span.service) == ("GET /", "SPAN_KIND_SERVER", "shop")
    assert (span.start_ns, span.end_ns, span.duration_ns) == (10**18, 10**18 + 7, 7)
    assert (span.trace_id, span.span_id, span.parent_id) == ("ab" * 16, "cd" * 8, "0" * 16)
    assert span.resource.attributes["region"] == "eu"
    assert span.attribute("tenant.id") is None
