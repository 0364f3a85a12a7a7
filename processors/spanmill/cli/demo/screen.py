"""The demo on a terminal: one table that stays in its place."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from spanmill.cli.demo.view import (
    COLUMNS,
    EDGE_COLUMNS,
    View,
    cells,
    edge_cells,
    is_outgoing,
    most_telling,
    totals,
)
from spanmill.cli.demo.window import EdgeRow, Row

_AROUND = 9  # lines that are not the table's rows, one of them for the cursor
_AROUND_EDGES = 2  # a blank line and the head of the edges' table
_EDGES_SHARE = 3  # a third of the rows is for edges at least, as far as there are some
_SERVICE = 16  # columns at most for the name of a service
_OPERATION = 9  # columns at least for the name of an operation
_FEW_ERRORS = 0.0
_MANY_ERRORS = 0.05


class LiveDisplay:
    """Redraws the view in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._notices: Sequence[str] = ()
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def start(self) -> None:
        """Take the lines below the cursor."""
        self._live.start()

    def update(self, view: View) -> None:
        """Draw the view."""
        self._notices = view.notices
        drawn = draw(view, self._console.width, self._console.height)
        self._live.update(drawn, refresh=True)

    def stop(self) -> None:
        """Leave the last view on the terminal, and below it what its lines had no room for."""
        self._live.stop()
        for notice in self._notices:
            print(notice, file=self._console.file)


def draw(view: View, width: int, height: int) -> RenderableType:
    """The view for a terminal of `width` columns and `height` lines."""
    endpoints = view.endpoints
    room = height - _AROUND - len(view.notices)
    edges = _edges_with_room(view, room)
    if edges:
        room -= len(edges) + _AROUND_EDGES
    shown = most_telling(view.rows, room)
    parts: list[RenderableType] = [
        _line(f"{view.elapsed:4.0f} s  {view.story}", "bold red" if view.alarm else "bold"),
        *(_line(notice, "bold red") for notice in view.notices),
        _table(shown, width),
        *_graph(edges, width),
        _line(_below(view, shown), "dim"),
        Text(),
        _labelled("metrics", f"curl {endpoints.scrape} · Ctrl-C ends"),
        _labelled("your app", f"OTEL_EXPORTER_OTLP_ENDPOINT={endpoints.grpc} (gRPC)"),
        _labelled("", f"{'or':>27} {endpoints.http} (HTTP)"),
    ]
    return Group(*parts)


def _below(view: View, shown: list[Row]) -> str:
    if view.scrape is None or not view.rows:
        return "waiting for the first spans"
    hidden = len(view.rows) - len(shown)
    more = f" · {hidden} rows more in a taller window" if hidden else ""
    arrows = " · → a call that it makes" if any(map(is_outgoing, shown)) else ""
    return f"over {view.window:.0f} s · {totals(view.scrape)}{more}{arrows}"


def _edges_with_room(view: View, room: int) -> Sequence[EdgeRow]:
    """The edges that fit: beside all rows, or else in their share of the room."""
    room -= _AROUND_EDGES
    return view.edges[: max(room - len(view.rows), room // _EDGES_SHARE, 0)]


def _graph(edges: Sequence[EdgeRow], width: int) -> list[RenderableType]:
    """The service graph as a table, below a blank line; nothing without edges."""
    if not edges:
        return []
    lines = [edge_cells(edge) for edge in edges]
    widths = [max(map(len, column)) for column in zip(EDGE_COLUMNS, *lines, strict=True)]
    widths[0] = max(_OPERATION, min(widths[0], width - sum(widths) + widths[0] - len(widths)))
    table = Table(box=None, padding=(0, 1, 0, 0), expand=False, header_style="bold")
    for column, (name, wide) in enumerate(zip(EDGE_COLUMNS, widths, strict=True)):
        justify: JustifyMethod = "right" if column else "left"
        table.add_column(name, justify=justify, width=wide, no_wrap=True)
    for edge, texts in zip(edges, lines, strict=True):
        table.add_row(*map(Text, texts, ("cyan", "", _colour(edge), "")))
    return [Text(), table]


def _table(rows: list[Row], width: int) -> Table:
    lines = [cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *lines, strict=True)]
    # Names give way on a narrow terminal, figures never: half of a figure misleads.
    widths[0] = min(widths[0], _SERVICE)
    widths[1] = max(_OPERATION, min(widths[1], width - sum(widths) + widths[1] - len(widths)))
    table = Table(box=None, padding=(0, 1, 0, 0), expand=False, header_style="bold")
    for column, (name, wide) in enumerate(zip(COLUMNS, widths, strict=True)):
        justify: JustifyMethod = "left" if column < 2 else "right"
        table.add_column(name, justify=justify, width=wide, no_wrap=True)
    service = None
    for row, texts in zip(rows, lines, strict=True):
        # A service is named once, on its first row.
        name = "" if texts[0] == service else texts[0]
        service = texts[0]
        # As Text: a name with brackets is no markup.
        styles = ("cyan", "", "", _colour(row), "", "", "")
        table.add_row(*map(Text, (name, *texts[1:]), styles))
    return table


def _colour(row: Row | EdgeRow) -> str:
    ratio = row.error_ratio or 0.0
    if ratio > _MANY_ERRORS:
        return "bold red"
    return "yellow" if ratio > _FEW_ERRORS else ""


def _line(text: str, style: str) -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _labelled(label: str, text: str) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    return line.append(f"{label:<9}", "dim").append(text)
