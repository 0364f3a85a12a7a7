"""The demo on a pipe or a plain terminal: a table of text every few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from spanmill.cli.demo.view import (
    COLUMNS,
    EDGE_COLUMNS,
    View,
    cells,
    edge_cells,
    most_telling,
    shortened,
    totals,
)

EVERY = 5.0  # seconds between two tables

_WIDTHS = (12, 28, 6, 7, 7, 7, 7)  # with a space between them: 80 columns
_NAMES = (0, 1)  # columns that stand to the left and give way
_EDGE_WIDTHS = (41, 6, 7, 7)
_EDGE_NAMES = (0,)
_ROOM = 18  # rows; more is said in one line


class PlainDisplay:
    """Prints the view every few seconds, and at once whatever is new in its story."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._next = EVERY
        self._alarm = False
        self._told = 0  # notices

    def start(self) -> None:
        """There is nothing to prepare."""

    def update(self, view: View) -> None:
        """Print what is due."""
        for notice in view.notices[self._told :]:
            self._print([notice])
        self._told = len(view.notices)
        changed = view.alarm != self._alarm
        self._alarm = view.alarm
        if changed or view.elapsed >= self._next:
            self._next = view.elapsed + EVERY
            self._print(table(view))

    def stop(self) -> None:
        """There is nothing to put back."""

    def _print(self, lines: Sequence[str]) -> None:
        print("\n".join(lines), file=self._out, flush=True)


def table(view: View) -> list[str]:
    """The view as lines of at most 80 characters, but for the names of a user's own services."""
    counted = "" if view.scrape is None else f" · {totals(view.scrape)}"
    shown = most_telling(view.rows, _ROOM)
    head = f"{view.elapsed:.0f} s{counted} · {view.endpoints.scrape}"
    lines = ["", head, view.story, _line(COLUMNS, _WIDTHS, _NAMES)]
    lines += [_line(cells(row), _WIDTHS, _NAMES) for row in shown]
    if not shown:
        lines.append("(no spans yet)")
    if view.edges:
        lines += ["", _line(EDGE_COLUMNS, _EDGE_WIDTHS, _EDGE_NAMES)]
        lines += [_line(edge_cells(row), _EDGE_WIDTHS, _EDGE_NAMES) for row in view.edges[:_ROOM]]
    return lines


def _line(texts: Sequence[str], widths: Sequence[int], names: Sequence[int]) -> str:
    parts = [
        shortened(text, width).ljust(width) if column in names else text.rjust(width)
        for column, (text, width) in enumerate(zip(texts, widths, strict=True))
    ]
    return " ".join(parts).rstrip()
