from __future__ import annotations

import pytest

from spanmill.cli.demo.scrape import Edge, Operation
from spanmill.cli.demo.view import (
    cells,
    duration,
    edge_cells,
    edges_in_order,
    in_order,
    most_telling,
    shortened,
)
from spanmill.cli.demo.window import EdgeRow, Row


def row(service: str, name: str, kind: str = "SERVER") -> Row:
    operation = Operation(service, name, f"SPAN_KIND_{kind}")
    return Row(operation, rate=2.04, error_ratio=0.125, p50=0.0123, p95=0.25, p99=1.24)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.0, "0.0ms"),
        (0.0008, "0.8ms"),
        (0.00996, "10ms"),
        (0.0123, "12ms"),
        (0.34, "340ms"),
        (0.9996, "1.0s"),
        (16.384, "16.4s"),
    ],
)
def test_a_duration_is_short_whatever_its_size(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_row_is_written_with_its_units() -> None:
    assert cells(row("cart", "GET /carts/{id}")) == (
        *("cart", "GET /carts/{id}", "2.0", "12.5%", "12ms", "250ms", "1.2s"),
    )


def test_an_idle_row_shows_nothing_rather_than_zeros() -> None:
    idle = Row(Operation("cart", "GET", "SPAN_KIND_SERVER"), 0.0, None, None, None, None)
    assert cells(idle) == ("cart", "GET", "0.0", "", "", "", "")


def test_a_call_that_a_service_makes_has_an_arrow() -> None:
    assert cells(row("cart", "GET /products/{id}", "CLIENT"))[1] == "→ GET /products/{id}"


def test_control_characters_from_senders_do_not_reach_the_terminal() -> None:
    assert cells(row("ca\x1b[2Jrt", "a\nb"))[:2] == ("ca?[2Jrt", "a?b")


def test_rows_follow_a_request_through_the_shop_and_strangers_come_last() -> None:
    rows = [
        row("zoo", "visit"),
        row("catalog", "GET /search"),
        row("aquarium", "visit"),
        row("storefront", "GET /products", "CLIENT"),
        row("storefront", "POST /checkout"),
        row("payment", "POST /charges"),
    ]
    assert [each.operation.service for each in in_order(rows)] == [
        *("storefront", "storefront", "payment", "catalog", "aquarium", "zoo"),
    ]
    assert in_order(rows)[0].operation.span_kind == "SPAN_KIND_SERVER"


def test_an_edge_names_both_ends_and_the_kind_of_connection() -> None:
    direct = EdgeRow(Edge("shop", "cart", ""), 2.04, 0.125, 0.25)
    assert edge_cells(direct) == ("shop → cart", "2.0", "12.5%", "250ms")
    database = EdgeRow(Edge("cart", "re\ndis", "database"), 0.0, None, None)
    assert edge_cells(database) == ("cart → re?dis (database)", "0.0", "", "")
    user = EdgeRow(Edge("user", "shop", "virtual_node"), 1.0, 0.0, None)
    assert edge_cells(user)[0] == "user → shop"


def test_edges_follow_a_request_through_the_shop_and_strangers_come_last() -> None:
    names = [
        ("zoo", "cart"),
        ("cart", "catalog"),
        ("storefront", "catalog"),
        ("storefront", "checkout"),
        ("user", "storefront"),
    ]
    rows = [EdgeRow(Edge(*ends, ""), 1.0, None, None) for ends in names]
    ordered = [(row.edge.client, row.edge.server) for row in edges_in_order(rows)]
    assert ordered == [names[4], names[3], names[2], names[1], names[0]]


def test_where_room_is_short_the_calls_of_the_shop_go_first() -> None:
    own = row("mine", "job", "INTERNAL")
    rows = [row("cart", "GET"), row("cart", "GET", "CLIENT"), row("catalog", "GET"), own]
    assert most_telling(rows, 4) == rows
    assert most_telling(rows, 3) == [rows[0], rows[2], own]
    assert most_telling(rows, 1) == [rows[0]]
    assert most_telling(rows, -2) == []


def test_a_shortened_text_says_that_it_is() -> None:
    assert shortened("GET /products", 13) == "GET /products"
    assert shortened("GET /products", 8) == "GET /pr…"
