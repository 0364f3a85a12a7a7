"""OpenMetrics 1.0, read back by prometheus_client's strict parser."""

from __future__ import annotations

from pathlib import Path

import pytest

from exposition_examples import (
    CREATED,
    HOSTILE,
    Sample,
    example_families,
    expected_samples,
    read_openmetrics,
    values_family,
)
from spanmill.exporters.exposition import Format, render
from spanmill.series.snapshot import FamilySnapshot

GOLDEN = Path(__file__).parent / "golden"


def exposed(*families: FamilySnapshot, created: bool = False) -> bytes:
    return b"".join(render(families, Format.OPENMETRICS, created_timestamps=created))


def strict_families() -> list[FamilySnapshot]:
    """Without the weighted histogram: this parser takes whole counts only."""
    return [f for f in example_families() if f.family.name != "weighted_seconds"]


@pytest.mark.parametrize(("created", "file"), [(False, "example.om"), (True, "created.om")])
def test_the_example_is_as_recorded(created: bool, file: str) -> None:
    golden = (GOLDEN / file).read_text(encoding="utf-8")
    assert exposed(*example_families(), created=created).decode() == golden


def test_a_strict_reader_finds_every_sample_in_order() -> None:
    families = strict_families()
    assert read_openmetrics(exposed(*families)) == expected_samples(families)


def test_created_stamps_stand_beside_their_series_where_they_are_wanted() -> None:
    families = strict_families()
    samples = read_openmetrics(exposed(*families, created=True))
    stamps = [sample for sample in samples if sample.name.endswith("_created")]
    assert [sample for sample in samples if sample not in stamps] == expected_samples(families)
    assert [sample.name for sample in stamps] == ["calls_created"] * 3 + [
        "latency_seconds_created"
    ] * 3
    assert {sample.value for sample in stamps} == {CREATED}


def test_version_0_0_1_has_the_same_lines() -> None:
    for created in (False, True):
        older = render(example_families(), Format.OPENMETRICS_0_0_1, created_timestamps=created)
        assert b"".join(older) == exposed(*example_families(), created=created)


def test_a_counter_is_declared_without_its_suffix_and_an_unknown_family_as_unknown() -> None:
    lines = exposed(*example_families()).decode().splitlines()
    assert [line for line in lines if line.startswith("# TYPE")] == [
        "# TYPE calls counter",
        "# TYPE latency_seconds histogram",
        "# TYPE weighted_seconds histogram",
        "# TYPE gauge gauge",
        "# TYPE http_errors_5xx unknown",
    ]


def test_help_escapes_quotation_marks_too() -> None:
    snapshot = values_family("x", "gauge", [1], text='a "b"\nc\\')
    assert exposed(snapshot).splitlines()[1] == rb"# HELP x a \"b\"\nc\\"


def test_a_label_value_may_hold_any_character() -> None:
    value = HOSTILE + "".join(map(chr, range(256))) + "\u2028\u202e\ufeff\U0001f600%s{}"
    snapshot = values_family("x", "gauge", [1], names=("a", "b"), labels=[(value, "b")])
    assert read_openmetrics(exposed(snapshot)) == [Sample("x", (("a", value), ("b", "b")), 1.0)]


def test_it_ends_with_eof_even_where_there_is_nothing() -> None:
    assert exposed() == b"# EOF\n"
    assert exposed(*example_families()).endswith(b"\n# EOF\n")
