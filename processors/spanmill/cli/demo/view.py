"""What the demo shows at one moment, and how its figures are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spanmill.cli.demo.ports import Endpoints
from spanmill.cli.demo.scrape import Edge, Operation, Scrape
from spanmill.cli.demo.shop import SERVICES
from spanmill.cli.demo.window import EdgeRow, Row

COLUMNS = ("SERVICE", "OPERATION", "PER S", "ERRORS", "P50", "P95", "P99")
EDGE_COLUMNS = ("CLIENT → SERVER", "PER S", "ERRORS", "P95")

_ORDER = {service.name: place for place, service in enumerate(SERVICES)}
_SERVER = "SPAN_KIND_SERVER"
_USER = "user"
_OUTGOING = frozenset({"SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER"})


@dataclass(frozen=True, slots=True)
class View:
    """Everything that a screen shows; `elapsed` in seconds since the traffic started.

    `rows` and `edges` stand in the order in which they are shown. `notices` are lines on what
    went wrong by itself.
    """

    endpoints: Endpoints
    elapsed: float
    window: float
    story: str
    alarm: bool
    rows: Sequence[Row]
    scrape: Scrape | None
    notices: Sequence[str]
    edges: Sequence[EdgeRow] = ()


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Rows along a request's way through the shop, and what is not the shop's after it.

    A service's own requests come before the calls that it makes. The order does not depend on the
    figures, so that a row stays where the eye has found it.
    """
    return sorted(rows, key=lambda row: _place(row.operation))


def edges_in_order(edges: Sequence[EdgeRow]) -> list[EdgeRow]:
    """Edges along a request's way: those from users first, what is not the shop's last."""
    return sorted(edges, key=lambda row: _edge_place(row.edge))


def services_in_order(names: Iterable[str]) -> list[str]:
    """The shop's services along a request's way, and others after them."""
    return sorted(names, key=lambda name: (_ORDER.get(name, len(_ORDER)), name))


def most_telling(rows: Sequence[Row], room: int) -> list[Row]:
    """All rows if there is room, else those of requests that a service answers, at most `room`."""
    if len(rows) <= room:
        return list(rows)
    answered = [
        row
        for row in rows
        if row.operation.span_kind == _SERVER or row.operation.service not in _ORDER
    ]
    return answered[: max(room, 0)]


def cells(row: Row) -> tuple[str, str, str, str, str, str, str]:
    """A row's text, column by column."""
    return (
        printable(row.operation.service),
        printable(operation_name(row.operation)),
        f"{row.rate:.1f}",
        ratio(row.error_ratio),
        duration(row.p50),
        duration(row.p95),
        duration(row.p99),
    )


def edge_cells(row: EdgeRow) -> tuple[str, str, str, str]:
    """An edge's text, column by column."""
    return (
        printable(edge_name(row.edge)),
        f"{row.rate:.1f}",
        ratio(row.error_ratio),
        duration(row.p95),
    )


def edge_name(edge: Edge) -> str:
    """Both ends, and the kind of connection where it is not simply between two services."""
    kind = edge.connection_type.replace("_", " ")
    ends = f"{edge.client or '?'} → {edge.server or '?'}"
    return f"{ends} ({kind})" if kind and edge.client != _USER else ends


def operation_name(operation: Operation) -> str:
    """The span's name, with an arrow before a call that the service makes."""
    outgoing = operation.span_kind in _OUTGOING
    return f"→ {operation.span_name}" if outgoing else operation.span_name


def is_outgoing(row: Row) -> bool:
    """Whether it is about calls that the service makes, not about requests that it answers."""
    return row.operation.span_kind in _OUTGOING


def printable(text: str) -> str:
    """`text` without control characters: names come from whoever sends spans."""
    return "".join(character if character.isprintable() else "?" for character in text)


def ratio(value: float | None) -> str:
    """A ratio in per cent."""
    return "" if value is None else f"{value * 100:.1f}%"


def duration(seconds: float | None) -> str:
    """A time in three digits or fewer: 0.8ms, 12ms, 340ms, 1.2s."""
    if seconds is None:
        return ""
    milliseconds = seconds * 1000
    if milliseconds < 9.95:
        return f"{milliseconds:.1f}ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f}ms"
    return f"{seconds:.1f}s"


def shortened(text: str, width: int) -> str:
    """`text` in at most `width` characters."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def totals(scrape: Scrape) -> str:
    """What the processor has counted since it started."""
    return f"{scrape.calls:,.0f} spans counted, {scrape.series:,} series"


def _place(operation: Operation) -> tuple[int, str, bool, Operation]:
    return (
        _ORDER.get(operation.service, len(_ORDER)),
        operation.service,
        operation.span_kind in _OUTGOING,
        operation,
    )


def _edge_place(edge: Edge) -> tuple[int, str, int, Edge]:
    client = -1 if edge.client == _USER else _ORDER.get(edge.client, len(_ORDER))
    return client, edge.client, _ORDER.get(edge.server, len(_ORDER)), edge
