from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.ingest.books import Books, Delivered
from benchmarks.ingest.measurement import Measurement, Workload
from benchmarks.ingest.table import BY_CAPABILITY, Row, marks, put, render

from spanmill.errors import StartError

WORKLOAD = Workload(512, forward=True)
BOOKS = Books(
    sent=1000,
    acknowledged=1000,
    counted={"calls_total": 1000.0},
    delivered=Delivered(spans=1000, distinct=1000),
)


def run(microseconds: float, books: Books = BOOKS, peak_bytes: int = 0) -> Measurement:
    return Measurement(
        spans=1000,
        cpu_seconds=microseconds / 1000,
        ack_p50=0.001,
        ack_p99=0.0125,
        ready_seconds=0.5,
        idle_bytes=60_000_000,
        peak_bytes=peak_bytes,
        books=books,
    )


def cells(table: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]


def test_a_row_shows_the_median_of_its_rounds_and_the_greatest_peak() -> None:
    rounds = [run(4.0, peak_bytes=70_000_000), run(2.0, peak_bytes=90_000_000), run(2.5)]
    (row,) = cells(render([Row(WORKLOAD, "Collector", rounds)], "Collector"))
    assert row == [
        "derive + forward",
        "gRPC",
        "512",
        "recorded",
        "Collector",
        "2.50 (2.00 to 4.00)",
        "400,000",
        "1.00",
        "1.0",
        "12.5",
        "0.50",
        "60",
        "90",
    ]


def test_a_ratio_is_to_the_baseline_with_the_same_workload() -> None:
    small = Workload(10, forward=True)
    rows = [
        Row(WORKLOAD, "Collector", [run(2.0)]),
        Row(WORKLOAD, "spanmill", [run(1.0)]),
        Row(small, "Collector", [run(10.0)]),
        Row(small, "spanmill", [run(15.0)]),
    ]
    ratios = [(row[2], row[4], row[7]) for row in cells(render(rows, "Collector"))]
    assert ratios == [
        ("10", "Collector", "1.00"),
        ("10", "spanmill", "1.50"),
        ("512", "Collector", "1.00"),
        ("512", "spanmill", "0.50"),
    ]


def test_one_void_round_makes_the_row_void_and_leaves_no_figure_of_it() -> None:
    lost = replace(BOOKS, delivered=Delivered(999, 999))
    rows = [
        Row(WORKLOAD, "Collector", [run(2.0), run(2.0, lost), run(2.0)]),
        Row(WORKLOAD, "spanmill", [run(1.0)]),
    ]
    void, other = cells(render(rows, "Collector"))
    assert void[5:] == ["void: 999 of 1,000 spans delivered", *["-"] * 7]
    assert other[5] == "1.00 (1.00 to 1.00)"
    assert other[7] == "-", "a ratio to a void row means nothing"


def test_every_line_has_a_cell_for_each_heading() -> None:
    lost = replace(BOOKS, failures=("UNKNOWN: a | b\nc",))
    table = render([Row(WORKLOAD, "a", [run(1.0)]), Row(WORKLOAD, "b", [run(1.0, lost)])], "a")
    assert {line.count("|") for line in table.splitlines()} == {14}


def test_the_table_replaces_what_stood_between_the_marks(tmp_path: Path) -> None:
    begin, end = marks(BY_CAPABILITY)
    page = tmp_path / "page.md"
    page.write_text(f"# Speed\n{begin}\nold\n{end}\nMethod\n")
    put(page, BY_CAPABILITY, "new")
    assert page.read_text() == f"# Speed\n{begin}\nnew\n{end}\nMethod\n"


def test_a_page_without_marks_is_left_as_it_is(tmp_path: Path) -> None:
    begin, _ = marks(BY_CAPABILITY)
    page = tmp_path / "page.md"
    page.write_text(f"# Speed\n{begin}\n")
    with pytest.raises(StartError, match="are not there"):
        put(page, BY_CAPABILITY, "new")
    assert page.read_text() == f"# Speed\n{begin}\n"
