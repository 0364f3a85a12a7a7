from __future__ import annotations

from spanmill.cli.demo.ports import GRPC, HTTP, METRICS
from spanmill.cli.demo.scrape import Operation, Scrape, Totals
from spanmill.cli.demo.summary import introduction, summary


def test_the_introduction_names_the_addresses_and_a_port_that_was_taken() -> None:
    lines = introduction({GRPC: 4317, HTTP: 40001, METRICS: 9464})
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert "http://127.0.0.1:9464/metrics" in text
    assert "http://127.0.0.1:4317 (gRPC), http://127.0.0.1:40001 (HTTP)" in text
    assert [line for line in lines if "taken" in line] == [
        "  port 4318 is taken: OTLP over HTTP is on 40001 instead"
    ]


def test_the_summary_counts_spans_and_errors_by_service() -> None:
    scrape = Scrape(
        1.0,
        {
            Operation("payment", "POST /charges", "SPAN_KIND_SERVER"): Totals(100, 7),
            Operation("storefront", "GET /", "SPAN_KIND_SERVER"): Totals(1000, 1),
            Operation("storefront", "GET /products", "SPAN_KIND_CLIENT"): Totals(900, 2),
        },
        series=3,
    )
    lines = summary(scrape, elapsed=42.3, program="spanmill")
    assert lines[0] == "ended after 42 s: 2,000 spans counted, 10 of them errors"
    assert lines[1].split() == ["storefront", "1,900", "spans", "3", "errors"]
    assert lines[2].split() == ["payment", "100", "spans", "7", "errors"]


def test_the_next_steps_are_for_a_processor_on_its_usual_ports() -> None:
    text = "\n".join(summary(None, elapsed=0.0, program=".venv/demo/bin/spanmill"))
    assert "before any span was counted" in text
    assert "  .venv/demo/bin/spanmill run\n" in text
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317" in text
    assert "curl http://127.0.0.1:9464/metrics" in text
