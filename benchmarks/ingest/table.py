"""Measurements as a Markdown table, and the table put into a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.ingest.load import PLAINLY
from benchmarks.ingest.measurement import Measurement, Workload
from spanmill.errors import StartError

BESIDE_THE_COLLECTOR: Final = "benchmarks.ingest"
BY_CAPABILITY: Final = "benchmarks.ingest --capabilities"
BY_LABEL_SETS: Final = "benchmarks.ingest --label-sets"
"""The tables, by the command that makes them; each has its place in a page."""

_HEADINGS: Final = (
    "path",
    "sent by",
    "spans a request",
    "label sets",
    "process",
    "CPU a span, µs",
    "spans per CPU-second",
    "ratio",
    "ack p50, ms",
    "ack p99, ms",
    "ready, s",
    "RSS idle, MB",
    "RSS peak, MB",
)
_TEXT_COLUMNS: Final = {"path", "sent by", "process"}
_NOTHING: Final = "-"
_MB: Final = 1e6


@dataclass(frozen=True, slots=True)
class Row:
    """All rounds of one target with one workload; one round that is void makes the row void."""

    workload: Workload
    target: str
    rounds: Sequence[Measurement]

    def void(self) -> str | None:
        """Why its figures mean nothing; None where they do."""
        return next((reason for each in self.rounds if (reason := each.books.void())), None)

    def microseconds_a_span(self) -> float:
        """The median over the rounds."""
        return self._median(lambda each: each.microseconds_a_span)

    def cells(self, baseline: Row | None) -> list[str]:
        """The whole line; `baseline` is the row whose ratio is 1."""
        workload = self.workload
        cells = [workload.path, str(workload.sending), f"{workload.batch:,}"]
        cells.append("recorded" if workload.label_sets is None else f"{workload.label_sets:,}")
        cells.append(self.target)
        reason = self.void()
        if reason:
            # What a peer answered may hold what ends a cell or a line.
            cells.append("void: " + " ".join(reason.replace("|", "/").split()))
            return cells + [_NOTHING] * (len(_HEADINGS) - len(cells))
        cpu = self.microseconds_a_span()
        all_cpu = [each.microseconds_a_span for each in self.rounds]
        return [
            *cells,
            f"{cpu:.2f} ({min(all_cpu):.2f} to {max(all_cpu):.2f})",
            f"{1e6 / cpu:,.0f}" if cpu else _NOTHING,
            self._ratio(baseline),
            f"{self._median(lambda each: each.ack_p50) * 1e3:.1f}",
            f"{self._median(lambda each: each.ack_p99) * 1e3:.1f}",
            f"{max(each.ready_seconds for each in self.rounds):.2f}",
            f"{self._median(lambda each: each.idle_bytes) / _MB:.0f}",
            f"{max(each.peak_bytes for each in self.rounds) / _MB:.0f}",
        ]

    def _ratio(self, baseline: Row | None) -> str:
        if baseline is None or baseline.void() or not baseline.microseconds_a_span():
            return _NOTHING
        return f"{self.microseconds_a_span() / baseline.microseconds_a_span():.2f}"

    def _median(self, figure: Callable[[Measurement], float]) -> float:
        return median(figure(each) for each in self.rounds)


def render(rows: Sequence[Row], baseline: str) -> str:
    """The table; ratios are to the target named `baseline` with the same workload."""
    ordered = sorted(rows, key=_position)
    baselines = {row.workload: row for row in rows if row.target == baseline}
    return "\n".join(
        f"| {' | '.join(cells)} |"
        for cells in (
            _HEADINGS,
            ["---" if heading in _TEXT_COLUMNS else "---:" for heading in _HEADINGS],
            *(row.cells(baselines.get(row.workload)) for row in ordered),
        )
    )


def _position(row: Row) -> tuple[bool, bool, int, int]:
    """The plain way first, the other ways of sending after it."""
    workload = row.workload
    return (
        *(workload.sending != PLAINLY, workload.forward),
        *(workload.batch, workload.label_sets or 0),
    )


def put(page: Path, table: str, text: str) -> None:
    """Replace what stands between the two marks of a table in the page."""
    before, after = around_marks(page, table)
    begin, end = marks(table)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def around_marks(page: Path, table: str) -> tuple[str, str]:
    """What stands before and after the place of a table; StartError if there is none."""
    begin, end = marks(table)
    try:
        before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    except OSError as error:
        raise StartError(f"{page}: {error.strerror}") from error
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise StartError(f"{page}: the lines {begin} and {end} are not there")
    return before, after


def marks(table: str) -> tuple[str, str]:
    """The lines between which a table stands."""
    return f"<!-- {table} begins -->", f"<!-- {table} ends -->"
