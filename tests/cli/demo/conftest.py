"""Rows and views to draw in tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from spanmill.cli.demo.ports import GRPC, HTTP, METRICS, Endpoints
from spanmill.cli.demo.scrape import Edge, Operation, Scrape, Totals
from spanmill.cli.demo.view import View
from spanmill.cli.demo.window import EdgeRow, Row

MakeRow = Callable[..., Row]
MakeView = Callable[..., View]


@pytest.fixture
def row() -> MakeRow:
    """Makes a row from service, span name, kind and ratio of errors."""

    def make(service: str, name: str, kind: str = "SERVER", errors: float = 0.0) -> Row:
        operation = Operation(service, name, f"SPAN_KIND_{kind}")
        return Row(operation, rate=123.4, error_ratio=errors, p50=0.0123, p95=0.25, p99=1.24)

    return make


@pytest.fixture
def view() -> MakeView:
    """Makes a view of rows and so many edges, on the ports 14317, 14318 and 19464."""

    def make(
        rows: Sequence[Row] = (),
        *,
        elapsed: float = 12.0,
        alarm: bool = False,
        notices: Sequence[str] = (),
        edges: int = 0,
    ) -> View:
        operations = {each.operation: Totals(1000.0) for each in rows}
        return View(
            endpoints=Endpoints.on({GRPC: 14317, HTTP: 14318, METRICS: 19464}),
            elapsed=elapsed,
            window=10.0,
            story="payment fails" if alarm else "all is well",
            alarm=alarm,
            rows=rows,
            scrape=Scrape(elapsed, operations, series=212) if rows else None,
            notices=notices,
            edges=[
                EdgeRow(Edge("storefront", f"service-{i}", ""), 123.4, 0.4, 0.25)
                for i in range(edges)
            ],
        )

    return make
