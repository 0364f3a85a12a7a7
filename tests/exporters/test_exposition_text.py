"""The text format 0.0.4, read back by prometheus_client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from exposition_examples import (
    HOSTILE,
    Sample,
    example_families,
    expected_samples,
    further_families,
    read_text,
    values_family,
)
from spanmill.exporters.exposition import Format, render
from spanmill.series.snapshot import FamilySnapshot

GOLDEN = Path(__file__).parent / "golden" / "example.txt"


def exposed(*families: FamilySnapshot) -> bytes:
    return b"".join(render(families, Format.TEXT, created_timestamps=False))


def test_the_example_is_as_recorded() -> None:
    assert exposed(*example_families(), *further_families()).decode() == GOLDEN.read_text(
        encoding="utf-8"
    )


def test_a_reader_finds_every_sample_in_order() -> None:
    families = example_families()
    assert read_text(exposed(*families)) == expected_samples(families)


def test_each_family_has_its_type_and_an_unknown_one_is_untyped() -> None:
    lines = exposed(*example_families()).decode().splitlines()
    assert [line for line in lines if line.startswith("# TYPE")] == [
        "# TYPE calls_total counter",
        "# TYPE latency_seconds histogram",
        "# TYPE weighted_seconds histogram",
        "# TYPE gauge gauge",
        "# TYPE http_errors_5xx untyped",
    ]


def test_snapshots_of_one_family_stand_under_one_header() -> None:
    families = [f for f in further_families() if f.family.name == "wait_seconds"]
    data = exposed(*families)
    assert len(families) == 2
    assert data.count(b"# TYPE") == data.count(b"# HELP") == 1
    assert read_text(data) == expected_samples(families)


def test_a_summary_is_read_back() -> None:
    families = [f for f in further_families() if f.family.type == "summary"]
    assert b"# TYPE size summary" in exposed(*families)
    assert read_text(exposed(*families)) == expected_samples(families)


def test_there_are_no_exemplars() -> None:
    assert b"trace_id" not in exposed(*further_families())


def test_created_timestamps_are_not_written_even_where_they_are_wanted() -> None:
    data = b"".join(render(example_families(), Format.TEXT, created_timestamps=True))
    assert b"_created" not in data


def test_help_escapes_line_feeds_and_backslashes_but_no_quotation_marks() -> None:
    snapshot = values_family("x", "gauge", [1], text='a "b"\nc\\')
    assert exposed(snapshot).splitlines()[0] == rb'# HELP x a "b"\nc\\'


def test_a_label_value_may_hold_any_character() -> None:
    value = HOSTILE + "".join(map(chr, range(256))) + "\u2028\u202e\ufeff\U0001f600%s{}"
    snapshot = values_family("x", "gauge", [1], names=("a", "b"), labels=[(value, "b")])
    assert read_text(exposed(snapshot)) == [Sample("x", (("a", value), ("b", "b")), 1.0)]


def test_nothing_to_expose_is_an_empty_text() -> None:
    assert exposed() == b""


def test_a_long_exposition_comes_in_chunks_of_about_512_kib() -> None:
    labels = [(f"{i:0100}",) for i in range(40_000)]
    snapshot = values_family("x_total", "counter", range(40_000), names=("a",), labels=labels)
    chunks = list(render([snapshot], Format.TEXT, created_timestamps=False))
    assert len(chunks) > 5
    assert max(map(len, chunks)) < 530_000
    assert min(map(len, chunks[:-1])) > 520_000
    assert len(read_text(b"".join(chunks))) == 40_000


class Watched(list[FamilySnapshot]):
    """Families that count how many of them were asked for."""

    asked = 0

    def __iter__(self) -> Iterator[FamilySnapshot]:
        for snapshot in super().__iter__():
            self.asked += 1
            yield snapshot


def test_rendering_goes_no_further_than_it_is_read() -> None:
    labels = [(f"{i:0100}",) for i in range(5000)]
    families = Watched(
        values_family(name, "gauge", range(5000), names=("a",), labels=labels) for name in "xyz"
    )
    chunks = render(families, Format.TEXT, created_timestamps=False)
    assert families.asked == 0
    next(chunks)
    assert families.asked == 1
