from __future__ import annotations

import math

from spanmill.cli.demo.scrape import Edge, Operation, parse

PAGE = """\
# HELP spanmill_series Label sets.
# TYPE spanmill_series gauge
spanmill_series{processor="span_metrics"} 7
# TYPE traces_spanmetrics_calls_total counter
traces_spanmetrics_calls_total{service="cart",span_name="GET /carts/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET",http_route="/carts/{id}"} 90
traces_spanmetrics_calls_total{service="cart",span_name="GET /carts/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR",http_route="/carts/{id}"} 10
traces_spanmetrics_calls_total{service="cart",span_name="GET /carts/{id}",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_UNSET",http_route=""} 5
# TYPE traces_spanmetrics_latency histogram
traces_spanmetrics_latency_bucket{service="cart",span_name="GET /carts/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET",http_route="/carts/{id}",le="0.002"} 40
traces_spanmetrics_latency_bucket{service="cart",span_name="GET /carts/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET",http_route="/carts/{id}",le="+Inf"} 90
traces_spanmetrics_latency_bucket{service="cart",span_name="GET /carts/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR",http_route="/carts/{id}",le="0.002"} 1
traces_spanmetrics_latency_bucket{service="cart",span_name="GET /carts/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR",http_route="/carts/{id}",le="+Inf"} 10
traces_spanmetrics_latency_sum{service="cart",span_name="GET /carts/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR",http_route="/carts/{id}"} 1.5
traces_spanmetrics_latency_count{service="cart",span_name="GET /carts/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR",http_route="/carts/{id}"} 10
"""  # noqa: E501 - lines of the exposition format can't be broken

SERVER = Operation("cart", "GET /carts/{id}", "SPAN_KIND_SERVER")
CLIENT = Operation("cart", "GET /carts/{id}", "SPAN_KIND_CLIENT")


def test_the_status_codes_of_an_operation_are_added_up() -> None:
    scrape = parse(PAGE, at=1.0)
    assert set(scrape.operations) == {SERVER, CLIENT}
    assert scrape.operations[SERVER].calls == 100
    assert scrape.operations[SERVER].errors == 10
    assert scrape.operations[SERVER].buckets == {0.002: 41, math.inf: 100}


def test_spans_errors_and_series_are_counted_over_everything() -> None:
    scrape = parse(PAGE, at=1.0)
    assert (scrape.calls, scrape.errors, scrape.series) == (105, 10, 7)


def test_without_the_processors_own_count_the_series_of_calls_are_counted() -> None:
    page = "\n".join(line for line in PAGE.splitlines() if "spanmill_series" not in line)
    assert parse(page + "\n", at=1.0).series == 3


def test_a_page_without_spans_is_an_empty_scrape() -> None:
    scrape = parse("# TYPE up gauge\nup 1\n", at=1.0)
    assert scrape.operations == {}
    assert scrape.calls == 0


def test_a_name_may_hold_characters_that_elsewhere_end_a_line() -> None:
    page = PAGE.replace("GET /carts/{id}", "GET\u2028\\n/carts")
    names = {operation.span_name for operation in parse(page, at=1.0).operations}
    assert names == {"GET\u2028\n/carts"}


GRAPH = """\
# TYPE traces_service_graph_request_total counter
traces_service_graph_request_total{client="shop",server="cart"} 10
traces_service_graph_request_total{client="cart",server="redis",connection_type="database"} 4
# TYPE traces_service_graph_request_failed_total counter
traces_service_graph_request_failed_total{client="shop",server="cart"} 2
traces_service_graph_request_failed_total{client="cart",server="redis",connection_type="database"} 0
# TYPE traces_service_graph_request_server_seconds histogram
traces_service_graph_request_server_seconds_bucket{client="shop",server="cart",le="0.1"} 9
traces_service_graph_request_server_seconds_bucket{client="shop",server="cart",le="+Inf"} 10
traces_service_graph_request_server_seconds_sum{client="shop",server="cart"} 1.5
traces_service_graph_request_client_seconds_bucket{client="shop",server="cart",le="+Inf"} 10
"""


def test_edges_have_their_requests_failures_and_server_buckets() -> None:
    edges = parse(GRAPH, at=1.0).edges
    direct, database = Edge("shop", "cart", ""), Edge("cart", "redis", "database")
    assert set(edges) == {direct, database}
    assert (edges[direct].calls, edges[direct].errors) == (10, 2)
    assert edges[direct].buckets == {0.1: 9, math.inf: 10}
    assert (edges[database].calls, edges[database].errors) == (4, 0)
