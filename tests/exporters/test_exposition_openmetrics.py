"""OpenMetrics 1.0, read back by prometheus_client's strict parser."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import prometheus_client.openmetrics.parser
import pytest

from exposition_examples import (
    CREATED,
    HOSTILE,
    MOMENT,
    Sample,
    example_families,
    exemplar,
    expected_samples,
    further_families,
    histogram_family,
    read_openmetrics,
    values_family,
)
from spanmill.exporters.exposition import Format, render
from spanmill.series.snapshot import (
    Exemplar,
    Family,
    FamilySnapshot,
    Histograms,
    LabelValues,
    Summaries,
)

GOLDEN = Path(__file__).parent / "golden"


def exposed(*families: FamilySnapshot, created: bool = False) -> bytes:
    return b"".join(render(families, Format.OPENMETRICS, created_timestamps=created))


def unweighted_families() -> list[FamilySnapshot]:
    """Those whose counts are whole, and shown as they are."""
    return [f for f in example_families() if f.family.name != "weighted_seconds"]


@pytest.mark.parametrize(("created", "file"), [(False, "example.om"), (True, "created.om")])
def test_the_example_is_as_recorded(created: bool, file: str) -> None:
    golden = (GOLDEN / file).read_text(encoding="utf-8")
    assert exposed(*example_families(), *further_families(), created=created).decode() == golden


def exemplars(data: bytes) -> dict[tuple[str, str], Any]:
    """The exemplars that the strict parser finds, by a sample's name and `le`."""
    parse: Any = prometheus_client.openmetrics.parser.text_string_to_metric_families
    return {
        (sample.name, sample.labels.get("le", "")): sample.exemplar
        for family in parse(data.decode())
        for sample in family.samples
        if sample.exemplar is not None
    }


def test_a_strict_reader_finds_every_sample_in_order() -> None:
    families = [*unweighted_families(), *further_families()]
    assert read_openmetrics(exposed(*families)) == expected_samples(families)


def test_created_stamps_stand_beside_their_series_where_they_are_wanted() -> None:
    families = unweighted_families()
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


def test_snapshots_of_one_family_stand_under_one_header() -> None:
    data = exposed(*further_families())
    assert data.count(b"# TYPE wait_seconds ") == data.count(b"# HELP wait_seconds ") == 1
    assert data.count(b"wait_seconds_count{") == 3


def test_a_series_whose_creation_is_unknown_has_no_created_line() -> None:
    lines = exposed(*further_families(), created=True).decode().splitlines()
    assert [line.split()[0] for line in lines if line.startswith("bytes_created")] == [
        "bytes_created",
        'bytes_created{a="1"}',
    ]


def test_a_counter_without_total_is_unknown_and_has_neither_exemplar_nor_stamp() -> None:
    snapshot = values_family("hits", "counter", [4], exemplars={0: exemplar(1)})
    assert exposed(snapshot, created=True).decode().splitlines() == [
        "# TYPE hits unknown",
        "# HELP hits Some help.",
        "hits 4",
        "# EOF",
    ]


def test_the_unit_is_told_where_the_name_ends_in_it() -> None:
    for name, unit, told in (
        ("x_bytes_total", "bytes", ["# UNIT x_bytes bytes"]),
        ("x_total", "bytes", []),
        ("bytes_total", "bytes", []),
    ):
        lines = exposed(values_family(name, "counter", [1], unit=unit)).decode().splitlines()
        assert [line for line in lines if line.startswith("# UNIT")] == told


def test_exemplars_stand_behind_their_bucket_or_counter() -> None:
    found = exemplars(exposed(*further_families()))
    assert {place: (e.labels["trace_id"][0], e.value) for place, e in found.items()} == {
        ("bytes_total", ""): ("a", 0.5),
        ("wait_seconds_bucket", "0.5"): ("c", 0.25),
        ("wait_seconds_bucket", "+Inf"): ("a", 4.0),
    }
    stamps = {place: float(e.timestamp) for place, e in found.items()}
    assert stamps["wait_seconds_bucket", "+Inf"] == MOMENT


@pytest.mark.parametrize("labels", [((),), (("%s\0{}",),)])
def test_exemplars_change_nothing_else_of_the_line(labels: tuple[LabelValues, ...]) -> None:
    hostile = Exemplar((("a", HOSTILE + "%s\0 # {"),), 1.0, math.nan)
    names = ("label",) if labels[0] else ()
    args = ("x_seconds", (0.5,), [[1, 2]], [2.0])
    without = histogram_family(*args, names=names, labels=labels)
    snapshot = histogram_family(*args, names=names, labels=labels, exemplars={0: {1: hostile}})
    before, behind = exposed(without), exposed(snapshot)
    escaped = r"""{a="quote \" backslash \\ newline \n end\\%s""" + '\0 # {"}'
    inf = next(line for line in before.split(b"\n") if b"+Inf" in line)
    assert behind == before.replace(inf, inf + f" # {escaped} 1".encode())


def test_an_exemplar_has_no_more_labels_than_may_be_there() -> None:
    labels = (("trace_id", "a" * 32), ("big", "x" * 86), ("even", "é" * 84), ("z", ""))
    snapshot = histogram_family(
        "x", (), [[1]], [1], exemplars={0: {0: Exemplar(labels, 1.0, MOMENT)}}
    )
    (found,) = exemplars(exposed(snapshot)).values()
    assert list(found.labels) == ["trace_id", "even"]
    assert sum(len(name) + len(value) for name, value in found.labels.items()) == 128


def test_a_distribution_without_a_sum_has_no_count_either_and_a_strict_reader_takes_it() -> None:
    nan = np.full(1, np.nan)
    histogram = Histograms((1.0,), np.array([[1.0, 2.0]]), np.array([3.0]), nan, None)
    summary = Summaries((0.5,), np.ones((1, 1)), np.array([3.0]), nan)
    text = exposed(
        FamilySnapshot(Family("h", "histogram", "H."), (), [()], np.ones(1), histogram),
        FamilySnapshot(Family("s", "summary", "S."), (), [()], np.ones(1), summary),
    )
    assert {sample.name for sample in read_openmetrics(text)} == {"h_bucket", "s"}


def test_it_ends_with_eof_even_where_there_is_nothing() -> None:
    assert exposed() == b"# EOF\n"
    assert exposed(*example_families()).endswith(b"\n# EOF\n")
