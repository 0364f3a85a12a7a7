from __future__ import annotations

import io
from collections.abc import Callable

from spanmill.cli.demo.plain import EVERY, PlainDisplay, table
from spanmill.cli.demo.view import View
from spanmill.cli.demo.window import Row


def test_a_table_comes_every_few_seconds(
    view: Callable[..., View], row: Callable[..., Row]
) -> None:
    out = io.StringIO()
    display = PlainDisplay(out)
    for elapsed in range(13):
        display.update(view([row("cart", "GET /carts/{id}")], elapsed=float(elapsed)))
    assert EVERY == 5.0
    assert out.getvalue().count("SERVICE") == 2


def test_a_change_of_the_story_is_told_at_once(view: Callable[..., View]) -> None:
    out = io.StringIO()
    display = PlainDisplay(out)
    display.update(view(elapsed=1.0, alarm=True))
    display.update(view(elapsed=2.0, alarm=True))
    assert out.getvalue().count("payment fails") == 1
    display.update(view(elapsed=3.0))
    assert "all is well" in out.getvalue()


def test_a_notice_is_told_once_and_at_once(view: Callable[..., View]) -> None:
    out = io.StringIO()
    display = PlainDisplay(out)
    for elapsed in (1.0, 2.0):
        display.update(view(elapsed=elapsed, notices=["cart ended with exit code 1: no"]))
    assert out.getvalue() == "cart ended with exit code 1: no\n"


def test_a_table_fits_80_columns_and_says_where_it_comes_from(
    view: Callable[..., View], row: Callable[..., Row]
) -> None:
    rows = [
        row("storefront", "→ POST /carts/{id}/items/{item}/and/further", "CLIENT", errors=1.0),
        row("a-service-with-a-long-name", "GET /carts/{id}"),
    ]
    lines = table(view(rows, elapsed=123.0))
    assert max(map(len, lines)) <= 80
    assert lines[1] == "123 s · 2,000 spans counted, 212 series · http://127.0.0.1:19464/metrics"
    assert lines[-1].split() == [
        *("a-service-w…", "GET", "/carts/{id}", "123.4", "0.0%", "12ms", "250ms", "1.2s"),
    ]


def test_before_the_first_spans_the_table_says_so(view: Callable[..., View]) -> None:
    assert table(view())[-1] == "(no spans yet)"


def test_the_service_graph_follows_in_a_table_of_its_own(
    view: Callable[..., View], row: Callable[..., Row]
) -> None:
    lines = table(view([row("cart", "GET")], edges=2))
    assert lines[-4:-2] == ["", "CLIENT → SERVER" + " " * 28 + "PER S  ERRORS     P95"]
    assert lines[-1].split() == ["storefront", "→", "service-1", "123.4", "40.0%", "250ms"]
