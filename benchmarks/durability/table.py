"""The measurements as Markdown tables, each figure beside the bound that it is held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.durability.disk import WRITE_BYTES, Disk
from benchmarks.ingest.measurement import Measurement

TABLE: Final = "benchmarks.durability"
"""The place in a page between whose marks the tables stand."""

MOST_CPU: Final[Mapping[int, float]] = {4: 1.40, 16: 1.15, 64: 1.15}
"""The most CPU a span of `synced`, as a share of `memory`, by requests in flight."""
_LATENCY_SECONDS: Final = 0.003
_LATENCY_SYNCS: Final = 5

_SATURATED: Final = (
    "in flight",
    "process",
    "CPU a span, µs",
    "to spanmill in memory",
    "spans/s",
    "ack p50, ms",
    "ack p99, ms",
)
_HALF: Final = ("in flight", "process", "spans/s", "ack p50, ms", "ack p99, ms", "bound, ms")


@dataclass(frozen=True, slots=True)
class Row:
    """All rounds of one target with so many requests in flight."""

    in_flight: int
    target: str
    rounds: Sequence[Measurement]

    def void(self) -> str | None:
        """Why its figures mean nothing; None where they do."""
        return next((reason for each in self.rounds if (reason := each.books.void())), None)

    def cpu(self) -> float:
        """Microseconds a span, the median over the rounds."""
        return self._median(lambda each: each.microseconds_a_span)

    def rate(self) -> float:
        """Spans a second."""
        return self._median(lambda each: each.spans / each.load_seconds)

    def ack_p50(self) -> float:
        """Seconds."""
        return self._median(lambda each: each.ack_p50)

    def ack_p99(self) -> float:
        """Seconds."""
        return self._median(lambda each: each.ack_p99)

    def _median(self, figure: Callable[[Measurement], float]) -> float:
        return median(figure(each) for each in self.rounds)


def latency_bound(disk: Disk) -> float:
    """Seconds that an acknowledgement may take at half of the saturated rate, at the 99 %."""
    return _LATENCY_SECONDS + _LATENCY_SYNCS * disk.percentile(99)


def render(saturated: Sequence[Row], half: Sequence[Row], disk: Disk, baseline: str) -> str:
    """Both tables; shares are of the target named `baseline` with as much in flight."""
    base = {row.in_flight: row.cpu() for row in saturated if row.target == baseline}
    lines = [
        f"The disk takes {disk.percentile(50) * 1e3:.2f} ms (p50) and "
        f"{disk.percentile(99) * 1e3:.2f} ms (p99) for {WRITE_BYTES:,} bytes and fdatasync, "
        f"{len(disk.seconds):,} times between the runs.",
        "",
        "As fast as it answers:",
        "",
        *_table(_SATURATED, [_saturated(row, base.get(row.in_flight)) for row in saturated]),
    ]
    if half:
        bound = f"{latency_bound(disk) * 1e3:.1f}"
        lines += ["", "At half of that rate:", ""]
        lines += _table(_HALF, [_half(row, bound) for row in half])
    return "\n".join(lines)


def _saturated(row: Row, base: float | None) -> list[str]:
    reason = row.void()
    cells = [str(row.in_flight), row.target]
    if reason:
        return [*cells, _void(reason), *["-"] * (len(_SATURATED) - len(cells) - 1)]
    cpu = [each.microseconds_a_span for each in row.rounds]
    return [
        *cells,
        f"{row.cpu():.2f} ({min(cpu):.2f} to {max(cpu):.2f})",
        f"{row.cpu() / base:.2f}" if base else "-",
        f"{row.rate():,.0f}",
        f"{row.ack_p50() * 1e3:.1f}",
        f"{row.ack_p99() * 1e3:.1f}",
    ]


def _half(row: Row, bound: str) -> list[str]:
    reason = row.void()
    cells = [str(row.in_flight), row.target]
    if reason:
        return [*cells, _void(reason), *["-"] * (len(_HALF) - len(cells) - 1)]
    figures = [f"{row.rate():,.0f}", f"{row.ack_p50() * 1e3:.1f}", f"{row.ack_p99() * 1e3:.1f}"]
    return [*cells, *figures, bound if "spanmill" in row.target else "-"]


def _void(reason: str) -> str:
    """What a peer answered may hold what ends a cell or a line."""
    return "void: " + " ".join(reason.replace("|", "/").split())


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---" if heading == "process" else "---:" for heading in headings]
    return [f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows)]
