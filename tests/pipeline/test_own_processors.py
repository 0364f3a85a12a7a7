"""Processors of one's own run in the whole, beside the others."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from running_processor import RunningProcessor, Samples, Start
from spanmill.errors import StartError
from waiting import Eventually

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
TENANTS = {
    "name": "tenants",
    "file": EXAMPLES / "tenants.py",
    "settings": {"attribute": "customer"},
}
FAILING = """\
class Failing:
    attributes = ("customer",)

    def __init__(self, metrics):
        self.requests = metrics.counter("failing_requests_total", "Requests.")

    def observe(self, batch):
        self.requests.add(batch)
        batch.duration[:] = 0

    def tick(self, now_ns):
        pass
"""

FREE = {"endpoint": "127.0.0.1:0"}


def requests(*customers: str) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number, customer in enumerate(customers, 1):
        span = scope.spans.add(name="work", kind=2)
        span.trace_id, span.span_id = b"t" * 16, number.to_bytes(8)
        span.attributes.add(key="customer").value.string_value = customer
    return request.SerializeToString()


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_its_metrics_are_shown_beside_the_others(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        processor = start(processors=[TENANTS])
    ready = next(record for record in caplog.records if record.message == "ready")
    assert ready.own_processors == "tenants"  # type: ignore[attr-defined]  # an extra field
    processor.send_grpc(requests("a", "b", "a"))
    samples = processor.scrape()
    service = "unknown_service"
    assert value(samples, "tenant_requests_total", service=service, tenant="a") == 2
    assert value(samples, "tenant_requests_total", service=service, tenant="b") == 1
    assert value(samples, "spanmill_series", processor="tenants") == 2
    assert value(samples, "spanmill_series_limit", processor="tenants") == 1000
    for name in ("tenants", "span_metrics", "service_metrics"):
        assert value(samples, "spanmill_processor_up", processor=name) == 1
    assert value(samples, "spanmill_processor_seconds_total", processor="tenants") > 0


def test_one_that_fails_is_switched_off_and_the_others_and_the_forwarding_go_on(
    start: Start, tmp_path: Path, eventually: Eventually
) -> None:
    file = tmp_path / "failing.py"
    file.write_text(FAILING, encoding="utf-8")
    failing = {"name": "failing", "file": file, "max_failures": 2}
    each_copy = {"receivers": {"otlp": {"grpc": FREE, "http": FREE, "once": None}}}
    sink = start(**each_copy)
    endpoint = {"endpoint": f"http://127.0.0.1:{sink.ports['http']}"}
    processor = start(
        processors=[failing, TENANTS], exporters={"otlp_traces": {"sink": endpoint}}, **each_copy
    )
    for _ in range(4):
        processor.send_grpc(requests("a"))
    samples = processor.scrape()
    assert value(samples, "spanmill_processor_errors_total", processor="failing") == 2
    assert value(samples, "spanmill_processor_up", processor="failing") == 0
    assert value(samples, "spanmill_processor_up", processor="tenants") == 1
    service = "unknown_service"
    assert value(samples, "tenant_requests_total", service=service, tenant="a") == 4
    assert value(samples, "spanmill_spans_accepted_total", outcome="counted_own") == 4
    assert value(samples, "spanmill_books_difference_spans", book="processing") == 0
    eventually(
        lambda: value(sink.scrape(), "spanmill_spans_received_total", outcome="accepted") == 4,
        "the destination has all of the spans",
    )


def test_one_that_can_t_be_made_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(FAILING.replace("requests_total", "requests"), encoding="utf-8")
    with pytest.raises(StartError) as refused:
        RunningProcessor({"processors": [{"name": "mine", "file": file}]})
    assert str(refused.value) == (
        f"processors[0] (mine): {file}:5: failing_requests should be called "
        "failing_requests_total: a counter's name ends in _total"
    )


KEEPING = """\
class Numbered:
    attributes = ()

    def __init__(self, metrics):
        self.seen = metrics.gauge("spans_seen", "Spans since the first start.")
        self.number = 0

    def observe(self, batch):
        self.number += len(batch)
        self.seen.set((), self.number)

    def tick(self, now_ns):
        pass

    def state(self):
        return {"number": self.number}

    def restore(self, state):
        self.number = state[NAME]
"""


@pytest.mark.parametrize(("name", "seen"), [("number", 6), ("another", 1)])
def test_what_it_keeps_goes_on_over_a_restart_or_begins_anew_alone(
    name: str, seen: int, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "numbered.py"
    file.write_text(KEEPING.replace("NAME", repr(name)), encoding="utf-8")
    settings = {
        "state": {"directory": tmp_path / "state"},
        "processors": [{"name": "numbered", "file": file}, TENANTS],
    }
    first = start(**settings)
    first.send_grpc(requests("a", "b"))
    first.send_grpc(requests("a", "b", "a"))
    first.close()
    second = start(**settings)
    second.send_grpc(requests("a"))
    samples = second.scrape()
    assert value(samples, "spans_seen") == seen
    assert value(samples, "tenant_requests_total", service="unknown_service", tenant="a") == 4
    refused = [record for record in caplog.records if "begins anew" in record.getMessage()]
    assert len(refused) == (name == "another")
    assert all("KeyError" in record.reason for record in refused)  # type: ignore[attr-defined]  # a field
