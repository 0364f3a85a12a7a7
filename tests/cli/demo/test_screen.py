from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from spanmill.cli.demo.screen import LiveDisplay, draw
from spanmill.cli.demo.view import View
from spanmill.cli.demo.window import Row


@pytest.fixture
def shop(row: Callable[..., Row]) -> list[Row]:
    return [
        row("storefront", "GET /"),
        row("storefront", "GET /products/{id}"),
        row("storefront", "POST /carts/{id}/items", "CLIENT"),
        row("checkout", "POST /orders", errors=0.4),
        row("catalog", "SELECT [bold]products", "CLIENT"),
    ]


def drawn(what: View, *, width: int = 80, height: int = 24, no_color: bool = False) -> str:
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        height=height,
        force_terminal=True,
        color_system="standard",
        no_color=no_color,
        legacy_windows=False,
    )
    console.print(draw(what, width, height))
    return out.getvalue()


def lines(what: View, *, width: int = 80, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height)
    with console.capture() as capture:
        console.print(draw(what, width, height))
    return capture.get().splitlines()


def test_a_service_is_named_on_its_first_row_only(
    view: Callable[..., View], shop: list[Row]
) -> None:
    text = lines(view(shop))
    assert sum("storefront" in line for line in text) == 1
    assert sum("GET /products/{id}" in line for line in text) == 1


def test_brackets_in_a_name_are_shown_as_they_are(
    view: Callable[..., View], shop: list[Row]
) -> None:
    assert any("SELECT [bold]products" in line for line in lines(view(shop)))


def test_the_addresses_stay_in_sight(view: Callable[..., View], shop: list[Row]) -> None:
    text = "\n".join(lines(view(shop)))
    assert "curl http://127.0.0.1:19464/metrics" in text
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:14317 (gRPC)" in text
    assert "http://127.0.0.1:14318 (HTTP)" in text


@pytest.mark.parametrize("number", [0, 1, 12, 40])
@pytest.mark.parametrize("edges", [0, 1, 40])
@pytest.mark.parametrize("height", [10, 24, 50])
def test_the_drawing_never_needs_more_lines_than_the_terminal_has(
    number: int, edges: int, height: int, view: Callable[..., View], row: Callable[..., Row]
) -> None:
    rows = [row("storefront", f"GET /{i}") for i in range(number)]
    what = view(rows, notices=["cart ended with exit code 1: no"], edges=edges)
    assert len(lines(what, height=height)) < height


def test_what_does_not_fit_is_counted(view: Callable[..., View], row: Callable[..., Row]) -> None:
    rows = [row("storefront", f"GET /{i}") for i in range(40)]
    text = "\n".join(lines(view(rows), height=24))
    assert "25 rows more in a taller window" in text


def test_edges_have_a_third_of_the_room_and_what_the_rows_leave(
    view: Callable[..., View], row: Callable[..., Row]
) -> None:
    rows = [row("storefront", f"GET /{i}") for i in range(40)]
    text = lines(view(rows, edges=40), height=24)
    assert sum("→ service-" in line for line in text) == 4
    assert sum("GET /" in line for line in text) == 9
    text = lines(view(rows[:3], edges=40), height=24)
    assert sum("→ service-" in line for line in text) == 10
    edge = next(line for line in text if "service-0" in line)
    assert edge.split() == ["storefront", "→", "service-0", "123.4", "40.0%", "250ms"]


def test_nothing_is_wider_than_80_columns_and_the_figures_are_whole(
    view: Callable[..., View], shop: list[Row]
) -> None:
    text = lines(view(shop, alarm=True), width=80)
    assert max(map(len, text)) <= 80
    orders = next(line for line in text if "POST /orders" in line)
    assert orders.split()[-5:] == ["123.4", "40.0%", "12ms", "250ms", "1.2s"]


def test_errors_are_coloured_and_no_color_is_honoured(
    view: Callable[..., View], shop: list[Row]
) -> None:
    red = "\x1b[1;31m"
    assert red in drawn(view(shop))
    assert "\x1b[3" not in drawn(view(shop), no_color=True)
    assert ";31m" not in drawn(view(shop), no_color=True)


def test_on_a_narrow_terminal_names_give_way_and_figures_do_not(
    view: Callable[..., View], shop: list[Row]
) -> None:
    text = lines(view(shop), width=56)
    assert max(map(len, text)) <= 56
    pages = next(line for line in text if "GET /prod" in line)
    assert "…" in pages
    assert pages.split()[-5:] == ["123.4", "0.0%", "12ms", "250ms", "1.2s"]


def test_the_arrow_is_explained_where_it_is_seen(
    view: Callable[..., View], row: Callable[..., Row]
) -> None:
    server, client = row("cart", "GET /carts"), row("cart", "GET /products", "CLIENT")
    assert "→ a call" in "\n".join(lines(view([server, client])))
    assert "→" not in "\n".join(lines(view([server])))


def test_a_notice_too_long_for_its_line_is_there_in_full_at_the_end(
    view: Callable[..., View],
) -> None:
    out = io.StringIO()
    display = LiveDisplay(Console(file=out, width=40, height=24, force_terminal=True))
    notice = "cart ended with exit code 1: " + "a long reason " * 5
    display.start()
    display.update(view(notices=[notice]))
    assert notice not in out.getvalue()
    display.stop()
    assert out.getvalue().endswith(f"{notice}\n")
