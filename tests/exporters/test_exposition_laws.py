"""What is read back is what was there, in every format."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from client_model import labels_of, positive_buckets, read_delimited
from exposition_examples import (
    expected_samples,
    histogram_family,
    native,
    read_openmetrics,
    read_text,
    same_float,
    values_family,
)
from spanmill.exporters.exposition import Format, render
from spanmill.series.snapshot import (
    FamilySnapshot,
    FamilyType,
    Histograms,
    LabelValues,
    NativeBuckets,
)

_NAMES = ("service", "span_name", "status")

texts = st.text(st.characters(codec="utf-8"), max_size=8)
label_values: st.SearchStrategy[LabelValues] = st.tuples(texts, texts, texts)
label_sets = st.lists(st.none() | label_values, min_size=1, max_size=4, unique=True)
kinds: st.SearchStrategy[FamilyType] = st.sampled_from(("counter", "gauge", "unknown", "histogram"))
any_float = st.floats(allow_nan=True, allow_infinity=True)
amount = st.floats(0, 1e300)


@st.composite
def native_buckets(draw: st.DrawFn) -> NativeBuckets:
    inside = draw(st.lists(st.just(0) | st.integers(0, 2**45), max_size=30))
    return native(
        draw(st.integers(-4, 8)),
        draw(st.integers(-5000, 5000)),
        [float(count) for count in inside],
        float(draw(st.integers(0, 2**45))),
    )


@st.composite
def families(draw: st.DrawFn) -> list[FamilySnapshot]:
    snapshots = []
    for i in range(draw(st.integers(0, 4))):
        labels: list[LabelValues | None] = draw(label_sets)
        kind = draw(kinds)
        name = f"metric_{i}_total" if kind == "counter" else f"metric_{i}"
        n = len(labels)
        if kind == "histogram":
            bounds = sorted(draw(st.sets(st.floats(1e-9, 1e9), max_size=4)))
            rows = st.lists(
                st.lists(st.integers(0, 2**45), min_size=len(bounds) + 1, max_size=len(bounds) + 1),
                min_size=n,
                max_size=n,
            )
            snapshots.append(
                histogram_family(
                    name,
                    tuple(bounds),
                    draw(rows),
                    draw(st.lists(amount, min_size=n, max_size=n)),
                    names=_NAMES,
                    labels=labels,
                    native=draw(st.none() | st.lists(native_buckets(), min_size=n, max_size=n)),
                )
            )
            continue
        value = amount if kind == "counter" else any_float
        values = draw(st.lists(value, min_size=n, max_size=n))
        snapshots.append(
            values_family(
                name,
                kind,
                values,
                names=_NAMES,
                labels=labels,
                text=draw(texts),
            )
        )
    return snapshots


def rendered(snapshots: list[FamilySnapshot], form: Format) -> bytes:
    return b"".join(render(snapshots, form, created_timestamps=False))


def plain(snapshots: list[FamilySnapshot]) -> list[FamilySnapshot]:
    """With labels that differ once the empty ones are gone, as those of a registry do."""
    return [
        snapshot
        for snapshot in snapshots
        if len(set(snapshot.label_pairs())) == len(snapshot.labels)
    ]


@given(families())
def test_text_reads_back_as_what_was_there(snapshots: list[FamilySnapshot]) -> None:
    assert read_text(rendered(snapshots, Format.TEXT)) == expected_samples(snapshots)


@given(families())
def test_openmetrics_reads_back_as_what_was_there(snapshots: list[FamilySnapshot]) -> None:
    snapshots = plain(snapshots)
    assert read_openmetrics(rendered(snapshots, Format.OPENMETRICS)) == expected_samples(snapshots)


@given(families())
def test_protobuf_reads_back_as_what_was_there(snapshots: list[FamilySnapshot]) -> None:
    read = read_delimited(rendered(snapshots, Format.PROTOBUF))
    assert [family.name for family in read] == [s.family.name for s in snapshots]
    for snapshot, family in zip(snapshots, read, strict=True):
        assert family.help == snapshot.family.help
        pairs = [dict(pairs) for pairs in snapshot.label_pairs()]
        assert [labels_of(metric) for metric in family.metric] == pairs
        data = snapshot.data
        for i, metric in enumerate(family.metric):
            if isinstance(data, Histograms):
                _check_histogram(data, i, metric.histogram)
            else:
                field = {"unknown": "untyped"}.get(snapshot.family.type, snapshot.family.type)
                assert same_float(getattr(metric, field).value, float(data.values[i]))


def _check_histogram(data: Histograms, i: int, found: Any) -> None:
    assert found.sample_count == data.counts[i]
    assert found.sample_sum == data.sums[i]
    assert tuple(bucket.upper_bound for bucket in found.bucket) == data.bounds
    cumulative = np.cumsum(data.bucket_counts[i])[:-1].tolist()
    assert [bucket.cumulative_count for bucket in found.bucket] == cumulative
    if data.native is None:
        assert not found.HasField("schema")
        return
    buckets = data.native[i]
    assert found.schema == buckets.schema
    assert found.zero_count == buckets.zero_count
    populated = {k: count for k, count in positive_buckets(found).items() if count}
    expected = dict(enumerate(buckets.counts.tolist(), start=buckets.first))
    assert populated == {k: count for k, count in expected.items() if count}
    assert all(span.offset > 2 for span in found.positive_span[1:])
