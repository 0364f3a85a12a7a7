"""The demo on a terminal: one table that stays in its place."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from spanmill.cli.demo.view import COLUMNS, View, cells, most_telling, totals
from spanmill.cli.demo.window import Row

_AROUND = 9  # lines that are not the table's rows, one of them for the cursor
_FEW_ERRORS = 0.0
_MANY_ERRORS = 0.05


class LiveDisplay:
    """Redraws the view in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def start(self) -> None:
        """Take the lines below the cursor."""
        self._live.start()

    def update(self, view: View) -> None:
        """Draw the view."""
        drawn = draw(view, self._console.height)
        self._live.update(drawn, refresh=True)

    def stop(self) -> None:
        """Leave the last view on the terminal."""
        self._live.stop()


def draw(view: View, height: int) -> RenderableType:
    """The view for a terminal of `height` lines."""
    endpoints = view.endpoints
    room = height - _AROUND - len(view.notices)
    shown = most_telling(view.rows, room)
    parts: list[RenderableType] = [
        _line(f"{view.elapsed:4.0f} s  {view.story}", "bold red" if view.alarm else "bold"),
        *(_line(notice, "bold red") for notice in view.notices),
        _table(shown),
        _line(_below(view, len(shown)), "dim"),
        Text(),
        _labelled("metrics", f"curl {endpoints.scrape}"),
        _labelled("your app", f"OTEL_EXPORTER_OTLP_ENDPOINT={endpoints.grpc} (gRPC)"),
        _labelled("", f"{'or':>27} {endpoints.http} (HTTP) · Ctrl-C ends"),
    ]
    return Group(*parts)


def _below(view: View, shown: int) -> str:
    if view.scrape is None or not view.rows:
        return "waiting for the first spans"
    hidden = len(view.rows) - shown
    more = f" · {hidden} rows more in a taller window" if hidden else ""
    return f"over {view.window:.0f} s · {totals(view.scrape)}{more}"


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=False, header_style="bold")
    for column, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if column < 2 else "right", no_wrap=True)
    service = None
    for row in rows:
        texts = cells(row)
        # A service is named once, on its first row.
        name = "" if texts[0] == service else texts[0]
        service = texts[0]
        # As Text: a name with brackets is no markup.
        styles = ("cyan", "", "", _colour(row), "", "", "")
        table.add_row(*map(Text, (name, *texts[1:]), styles))
    return table


def _colour(row: Row) -> str:
    ratio = row.error_ratio or 0.0
    if ratio > _MANY_ERRORS:
        return "bold red"
    return "yellow" if ratio > _FEW_ERRORS else ""


def _line(text: str, style: str) -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _labelled(label: str, text: str) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    return line.append(f"{label:<9}", "dim").append(text)
