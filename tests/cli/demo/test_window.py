from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.cli.demo.scrape import Edge, Operation, Scrape, Totals
from spanmill.cli.demo.window import EdgeRow, Row, Window, increase, quantile

GET = Operation("cart", "GET /carts/{id}", "SPAN_KIND_SERVER")
POST = Operation("cart", "POST /carts/{id}/items", "SPAN_KIND_SERVER")


def scrape(at: float, operations: Mapping[Operation, Totals]) -> Scrape:
    return Scrape(at, operations, series=len(operations))


def calls(number: float, errors: float = 0.0) -> Totals:
    return Totals(number, errors, {0.1: number / 2, 0.2: number, math.inf: number})


def only_row(window: Window) -> Row:
    (row,) = window.rows()
    return row


def test_one_scrape_alone_gives_no_rows() -> None:
    window = Window()
    window.add(scrape(0, {GET: calls(5)}))
    assert window.rows() == []


def test_a_row_is_the_difference_between_two_scrapes() -> None:
    window = Window()
    window.add(scrape(0, {GET: calls(100, errors=50)}))
    window.add(scrape(5, {GET: calls(140, errors=60)}))
    row = only_row(window)
    assert row.rate == 8.0
    assert row.error_ratio == 0.25
    assert row.p50 == pytest.approx(0.1)
    assert row.p99 == pytest.approx(0.198)


def test_an_operation_that_appears_inside_the_window_started_at_nothing() -> None:
    window = Window()
    window.add(scrape(0, {GET: calls(1)}))
    window.add(scrape(2, {GET: calls(1), POST: calls(6)}))
    rates = {row.operation: row.rate for row in window.rows()}
    assert rates == {GET: 0.0, POST: 3.0}


def test_an_operation_without_calls_in_the_window_has_no_ratio_and_no_percentiles() -> None:
    window = Window()
    window.add(scrape(0, {GET: calls(10, errors=1)}))
    window.add(scrape(1, {GET: calls(10, errors=1)}))
    row = only_row(window)
    assert (row.rate, row.error_ratio, row.p50, row.p95, row.p99) == (0.0, None, None, None, None)


def test_what_is_older_than_the_window_has_no_influence() -> None:
    window = Window(seconds=10)
    for at in range(31):
        number = 1000.0 if at < 15 else 1000.0 + (at - 15) * 2
        window.add(scrape(at, {GET: calls(number)}))
    assert only_row(window).rate == 2.0
    assert window.latest is not None
    assert window.latest.at == 30


def test_a_gap_between_scrapes_widens_the_window_instead_of_emptying_it() -> None:
    window = Window(seconds=10)
    window.add(scrape(0, {GET: calls(0)}))
    window.add(scrape(60, {GET: calls(120)}))
    assert only_row(window).rate == 2.0


def test_an_edge_is_the_difference_between_two_scrapes() -> None:
    window, edge, new = Window(), Edge("shop", "cart", ""), Edge("user", "shop", "virtual_node")
    window.add(Scrape(0, {}, 0, {edge: calls(100, errors=50)}))
    assert window.edges() == []
    window.add(Scrape(5, {}, 0, {edge: calls(140, errors=60), new: calls(0)}))
    row, idle = window.edges()
    assert (row.edge, row.rate, row.error_ratio) == (edge, 8.0, 0.25)
    assert row.p95 == pytest.approx(0.19)
    assert idle == EdgeRow(new, 0.0, None, None)


def test_a_counter_that_fell_was_reset() -> None:
    assert increase(100, 7) == 7
    assert increase(7, 100) == 93


def test_a_quantile_is_interpolated_inside_its_bucket() -> None:
    buckets = {0.1: 10.0, 0.2: 30.0, 0.4: 40.0, math.inf: 40.0}
    assert quantile(0.25, buckets) == pytest.approx(0.1)
    assert quantile(0.5, buckets) == pytest.approx(0.15)
    assert quantile(1.0, buckets) == pytest.approx(0.4)


def test_a_quantile_above_all_bounds_is_the_highest_bound() -> None:
    assert quantile(0.99, {0.1: 0.0, 0.2: 1.0, math.inf: 100.0}) == 0.2


def test_an_empty_histogram_has_no_quantile() -> None:
    assert quantile(0.5, {}) is None
    assert quantile(0.5, {0.1: 0.0, math.inf: 0.0}) is None


@given(
    counts=st.lists(st.integers(0, 50), min_size=3, max_size=8).filter(lambda c: sum(c[:-1]) > 0),
    q=st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]),
)
def test_a_quantile_lies_in_the_bucket_that_holds_its_rank(counts: list[int], q: float) -> None:
    bounds = [2.0**i for i in range(len(counts) - 1)] + [math.inf]
    cumulative = {bound: float(sum(counts[: i + 1])) for i, bound in enumerate(bounds)}
    value = quantile(q, cumulative)
    assert value is not None
    rank = q * sum(counts)
    place = next(i for i, bound in enumerate(bounds) if cumulative[bound] >= rank)
    lower = bounds[place - 1] if place else 0.0
    upper = lower if math.isinf(bounds[place]) else bounds[place]
    assert lower <= value <= upper * (1 + 1e-12)
