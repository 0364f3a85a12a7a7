"""What is read back is what was there, in every format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import prometheus_client.openmetrics.parser
from hypothesis import given
from hypothesis import strategies as st

from client_model import (
    exemplar_of,
    labels_of,
    negative_buckets,
    positive_buckets,
    read_delimited,
)
from exposition_examples import (
    expected_samples,
    histogram_family,
    read_openmetrics,
    read_text,
    same_float,
    summary_family,
    values_family,
)
from spanmill.exporters.exposition import Format, render
from spanmill.exporters.exposition.exemplars import fitting_labels
from spanmill.series.snapshot import (
    Exemplar,
    FamilySnapshot,
    FamilyType,
    Histograms,
    LabelValues,
    NativeBuckets,
    Summaries,
    Values,
)

_NAMES = ("service", "span_name", "status")

texts = st.text(st.characters(codec="utf-8"), max_size=8)
label_values: st.SearchStrategy[LabelValues] = st.tuples(texts, texts, texts)
label_sets = st.lists(st.none() | label_values, min_size=1, max_size=4, unique=True)
kinds: st.SearchStrategy[FamilyType] = st.sampled_from(
    ("counter", "gauge", "unknown", "histogram", "summary")
)
units = st.sampled_from(["", "seconds", "bytes"])
any_float = st.floats(allow_nan=True, allow_infinity=True)
amount = st.floats(0, 1e300)
moments = st.just(math.nan) | st.integers(0, 2**33).map(lambda n: n + 0.25)
# prometheus_client takes an escaped quotation mark in an exemplar for the end of the value;
# ours are tested with one in test_exposition_openmetrics.py.
exemplar_texts = st.text(st.characters(codec="utf-8", exclude_characters='"'), max_size=70)
exemplars = st.builds(
    Exemplar,
    labels=st.lists(
        st.tuples(st.sampled_from(["trace_id", "span_id", "key"]), exemplar_texts),
        max_size=3,
        unique_by=lambda pair: pair[0],
    ).map(tuple),
    value=any_float,
    seconds=moments,
)


def counts(draw: st.DrawFn) -> list[float]:
    inside = draw(st.lists(st.just(0) | st.integers(0, 2**45), max_size=30))
    return [float(count) for count in inside]


@st.composite
def native_buckets(draw: st.DrawFn) -> NativeBuckets:
    indexes = st.integers(-5000, 5000)
    return NativeBuckets(
        schema=draw(st.integers(-4, 8)),
        zero_count=float(draw(st.integers(0, 2**45))),
        first=draw(indexes),
        counts=np.array(counts(draw)),
        zero_threshold=draw(st.floats(0, 1)),
        negative_first=draw(indexes),
        negative_counts=np.array(counts(draw)),
    )


def histogram_of(
    draw: st.DrawFn, name: str, labels: list[LabelValues | None], unit: str
) -> FamilySnapshot:
    n = len(labels)
    bounds = sorted(draw(st.sets(st.floats(1e-9, 1e9), max_size=4)))
    width = len(bounds) + 1
    row = st.lists(st.integers(0, 2**45), min_size=width, max_size=width)
    return histogram_family(
        name,
        tuple(bounds),
        draw(st.lists(row, min_size=n, max_size=n)),
        draw(st.lists(amount, min_size=n, max_size=n)),
        names=_NAMES,
        labels=labels,
        native=draw(st.none() | st.lists(native_buckets(), min_size=n, max_size=n)),
        unit=unit,
        exemplars=draw(
            st.dictionaries(
                st.integers(0, n - 1), st.dictionaries(st.integers(0, width - 1), exemplars)
            )
        ),
    )


def summary_of(draw: st.DrawFn, name: str, labels: list[LabelValues | None]) -> FamilySnapshot:
    n = len(labels)
    quantiles = sorted(draw(st.sets(st.floats(0, 1).map(abs), max_size=3)))
    values = st.lists(st.just(math.nan) | amount, min_size=len(quantiles), max_size=len(quantiles))
    return summary_family(
        name,
        tuple(quantiles),
        draw(st.lists(values, min_size=n, max_size=n)),
        draw(st.lists(st.integers(0, 2**53), min_size=n, max_size=n)),
        draw(st.lists(amount, min_size=n, max_size=n)),
        names=_NAMES,
        labels=labels,
    )


def values_of(
    draw: st.DrawFn, name: str, kind: FamilyType, labels: list[LabelValues | None], unit: str
) -> FamilySnapshot:
    n = len(labels)
    return values_family(
        name,
        kind,
        draw(st.lists(amount if kind == "counter" else any_float, min_size=n, max_size=n)),
        names=_NAMES,
        labels=labels,
        text=draw(texts),
        unit=unit,
        exemplars=draw(st.dictionaries(st.integers(0, n - 1), exemplars)),
    )


@st.composite
def families(draw: st.DrawFn) -> list[FamilySnapshot]:
    """Families of one or two snapshots each, whose label sets differ."""
    snapshots = []
    for i in range(draw(st.integers(0, 4))):
        kind, unit = draw(kinds), draw(units)
        name = "_".join(filter(None, (f"metric_{i}", unit)))
        name += "_total" * (kind == "counter")
        labels: list[LabelValues | None] = draw(label_sets)
        cut = draw(st.integers(0, len(labels) - 1))
        for part in filter(None, (labels[:cut], labels[cut:])):
            if kind == "histogram":
                snapshot = histogram_of(draw, name, part, unit)
            elif kind == "summary":
                snapshot = summary_of(draw, name, part)
            else:
                snapshot = values_of(draw, name, kind, part, unit)
            snapshot.created[:] = draw(st.lists(moments, min_size=len(part), max_size=len(part)))
            snapshots.append(snapshot)
    return snapshots


def rendered(snapshots: list[FamilySnapshot], form: Format, *, created: bool = False) -> bytes:
    return b"".join(render(snapshots, form, created_timestamps=created))


def plain(snapshots: list[FamilySnapshot]) -> list[FamilySnapshot]:
    """With labels that differ once the empty ones are gone, as those of a registry do."""
    known: set[tuple[object, ...]] = set()
    found = []
    for snapshot in snapshots:
        series = [(snapshot.family.name, *pairs) for pairs in snapshot.label_pairs()]
        if len(set(series)) == len(series) and known.isdisjoint(series):
            known.update(series)
            found.append(snapshot)
    return found


@given(families())
def test_text_reads_back_as_what_was_there(snapshots: list[FamilySnapshot]) -> None:
    assert read_text(rendered(snapshots, Format.TEXT)) == expected_samples(snapshots)


@given(families(), st.booleans())
def test_openmetrics_reads_back_as_what_was_there(
    snapshots: list[FamilySnapshot], created: bool
) -> None:
    snapshots = plain(snapshots)
    samples = read_openmetrics(rendered(snapshots, Format.OPENMETRICS, created=created))
    stamps = [sample.value for sample in samples if sample.name.endswith("_created")]
    assert [s for s in samples if not s.name.endswith("_created")] == expected_samples(snapshots)
    stamped = [s for s in snapshots if s.family.type in {"counter", "histogram", "summary"}]
    known = [float(c) for s in stamped for c in s.created if not math.isnan(c)]
    assert stamps == (known if created else [])


weights = st.floats(0, 1e9)


@given(
    st.sets(st.floats(-1e9, 1e9), max_size=4).map(sorted),
    st.lists(weights, min_size=5, max_size=5),
    st.just(math.nan) | st.floats(-1e12, 1e12),
    st.lists(st.just(math.nan) | st.floats(-1e9, 1e9), min_size=2, max_size=2),
)
def test_a_strict_reader_of_openmetrics_takes_every_distribution(
    bounds: list[float], counted: list[float], total: float, quantiles: list[float]
) -> None:
    buckets = counted[: len(bounds) + 1]
    samples = read_openmetrics(
        rendered(
            [
                histogram_family("h", tuple(bounds), [buckets], [total]),
                summary_family("s", (0.5, 0.9), [quantiles], [sum(counted)], [total]),
            ],
            Format.OPENMETRICS,
        )
    )
    shown = [sample.value for sample in samples if sample.name == "h_bucket"]
    assert shown == sorted(shown)
    assert sum(buckets) - 1 < shown[-1] <= sum(buckets) + 1e-9


@given(families())
def test_openmetrics_has_the_exemplars_beside_their_bucket_or_counter(
    snapshots: list[FamilySnapshot],
) -> None:
    snapshots = plain(snapshots)
    assert read_exemplars(rendered(snapshots, Format.OPENMETRICS)) == list(
        map(comparable, expected_exemplars(snapshots))
    )


def expected_exemplars(snapshots: list[FamilySnapshot]) -> Iterator[Exemplar]:
    for snapshot in snapshots:
        data = snapshot.data
        for i in range(len(snapshot.labels)):
            if isinstance(data, Histograms) and i in data.exemplars:
                yield from (exemplar for _, exemplar in sorted(data.exemplars[i].items()))
            elif isinstance(data, Values) and snapshot.family.type == "counter":
                yield from filter(None, (data.exemplars.get(i),))


def comparable(exemplar: Exemplar) -> tuple[object, ...]:
    """What a reader finds of it; every NaN is the same."""
    return (tuple(sorted(fitting_labels(exemplar))), repr(exemplar.value), repr(exemplar.seconds))


def read_exemplars(data: bytes) -> list[tuple[object, ...]]:
    """The exemplars that the strict parser finds, in order."""
    parse: Any = prometheus_client.openmetrics.parser.text_string_to_metric_families
    return [
        (
            tuple(sorted(found.labels.items())),
            repr(float(found.value)),
            "nan" if found.timestamp is None else repr(float(found.timestamp)),
        )
        for family in parse(data.decode())
        for sample in family.samples
        if (found := sample.exemplar) is not None
    ]


@given(families())
def test_protobuf_reads_back_as_what_was_there(snapshots: list[FamilySnapshot]) -> None:
    read = read_delimited(rendered(snapshots, Format.PROTOBUF))
    names = [snapshot.family.name for snapshot in snapshots]
    assert [family.name for family in read] == list(dict.fromkeys(names))
    for family in read:
        own = [snapshot for snapshot in snapshots if snapshot.family.name == family.name]
        assert (family.help, family.unit) == (own[0].family.help, own[0].family.unit)
        metrics = iter(family.metric)
        for snapshot in own:
            for i, pairs in enumerate(snapshot.label_pairs()):
                metric = next(metrics)
                assert labels_of(metric) == dict(pairs)
                _check_metric(snapshot, i, metric)
        assert next(metrics, None) is None


def _check_metric(snapshot: FamilySnapshot, i: int, metric: Any) -> None:
    data, kind = snapshot.data, snapshot.family.type
    found = getattr(metric, {"unknown": "untyped"}.get(kind, kind))
    if kind in {"counter", "histogram", "summary"}:
        created = float(snapshot.created[i])
        assert found.HasField("created_timestamp") == (not math.isnan(created))
        stamp = found.created_timestamp
        assert math.isnan(created) or stamp.seconds + stamp.nanos / 1e9 == created
    if isinstance(data, Histograms):
        _check_histogram(data, i, found)
    elif isinstance(data, Summaries):
        assert (found.sample_count, found.sample_sum) == (data.counts[i], data.sums[i])
        assert tuple(q.quantile for q in found.quantile) == data.quantiles
        values = [q.value for q in found.quantile]
        assert all(map(same_float, values, data.values[i].tolist()))
    else:
        assert same_float(found.value, float(data.values[i]))
        if kind == "counter":
            _check_exemplar(data.exemplars.get(i), found)


def _check_histogram(data: Histograms, i: int, found: Any) -> None:
    exemplars = data.exemplars.get(i, {})
    assert found.sample_count == data.counts[i]
    assert found.sample_sum == data.sums[i]
    has_inf = len(data.bounds) in exemplars
    bounds = (*data.bounds, math.inf) if has_inf else data.bounds
    assert tuple(bucket.upper_bound for bucket in found.bucket) == bounds
    cumulative = np.cumsum(data.bucket_counts[i])[: len(bounds)].tolist()
    assert [bucket.cumulative_count for bucket in found.bucket] == cumulative
    for position, bucket in enumerate(found.bucket):
        _check_exemplar(exemplars.get(position), bucket)
    if data.native is None:
        assert not found.HasField("schema")
        assert not found.exemplars
        return
    buckets = data.native[i]
    assert found.schema == buckets.schema
    assert found.zero_count == buckets.zero_count
    assert found.zero_threshold == (buckets.zero_threshold or 2.0**-128)
    for read, first, inside in (
        (positive_buckets(found), buckets.first, buckets.counts),
        (negative_buckets(found), buckets.negative_first, buckets.negative_counts),
    ):
        expected = dict(enumerate(inside.tolist(), start=first))
        assert without_zeros(read) == without_zeros(expected)
    assert all(span.offset > 2 for span in found.positive_span[1:])
    listed = sorted((e for e in exemplars.values() if e.seconds == e.seconds), key=_moment)
    assert [comparable(exemplar_of(e)) for e in found.exemplars] == list(map(comparable, listed))


def _check_exemplar(exemplar: Exemplar | None, holder: Any) -> None:
    assert holder.HasField("exemplar") == (exemplar is not None)
    if exemplar is not None:
        assert comparable(exemplar_of(holder.exemplar)) == comparable(exemplar)


def _moment(exemplar: Exemplar) -> float:
    return exemplar.seconds


def without_zeros(buckets: dict[int, float]) -> dict[int, float]:
    return {index: count for index, count in buckets.items() if count}
