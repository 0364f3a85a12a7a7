"""The delimited protobuf form, read back by the protobuf library."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client_model import (
    TYPE_NAMES,
    exemplar_of,
    labels_of,
    negative_buckets,
    positive_buckets,
    read_delimited,
)
from exposition_examples import (
    CREATED,
    HOSTILE,
    MOMENT,
    both_signs,
    example_families,
    exemplar,
    further_families,
    histogram_family,
    native,
    same_float,
    summary_family,
    values_family,
)
from spanmill.exporters.exposition import Format, render
from spanmill.series.native import NativeHistograms
from spanmill.series.snapshot import Exemplar, FamilySnapshot, NativeBuckets, Values

GOLDEN = Path(__file__).parent / "golden" / "example.pb"


def exposed(*families: FamilySnapshot) -> bytes:
    return b"".join(render(families, Format.PROTOBUF, created_timestamps=False))


def only_histogram(snapshot: FamilySnapshot) -> Any:  # a message has no static type
    (family,) = read_delimited(exposed(snapshot))
    (metric,) = family.metric
    return metric.histogram


def with_native(*buckets: NativeBuckets) -> FamilySnapshot:
    """A histogram without classic bounds, whose count is that of its native buckets."""
    counts = [[buckets[0].counts.sum() + buckets[0].zero_count]]
    return histogram_family("x", (), counts, [1.0], native=buckets)


def test_the_example_is_as_recorded() -> None:
    assert exposed(*example_families(), *further_families()) == GOLDEN.read_bytes()


def test_families_come_in_order_with_name_help_and_type() -> None:
    families = read_delimited(exposed(*example_families()))
    assert [(f.name, TYPE_NAMES[f.type]) for f in families] == [
        ("calls_total", "COUNTER"),
        ("latency_seconds", "HISTOGRAM"),
        ("weighted_seconds", "HISTOGRAM"),
        ("gauge", "GAUGE"),
        ("http_errors_5xx", "UNTYPED"),
    ]
    assert families[3].help == 'A "help"\nof two lines \\ and a backslash.'


def test_labels_are_those_of_the_series_without_the_empty_ones() -> None:
    (family,) = read_delimited(exposed(example_families()[0]))
    assert [labels_of(metric) for metric in family.metric] == [
        {"service": "shop", "span_name": "GET /", "http_route": "/"},
        {"service": "shop", "span_name": HOSTILE},
        {"otel_metric_overflow": "true"},
    ]


def test_values_are_written_even_where_they_are_zero() -> None:
    for kind, field in (("counter", "counter"), ("gauge", "gauge"), ("unknown", "untyped")):
        (family,) = read_delimited(exposed(values_family("x", kind, [0.0])))  # type: ignore[arg-type] # each is a FamilyType
        assert getattr(family.metric[0], field).HasField("value")


def test_special_values_are_exact() -> None:
    snapshot = example_families()[3]
    (family,) = read_delimited(exposed(snapshot))
    values = [metric.gauge.value for metric in family.metric]
    assert isinstance(snapshot.data, Values)
    assert all(map(same_float, values, snapshot.data.values.tolist()))


def test_counters_and_histograms_carry_created_stamps() -> None:
    calls, latency, *_ = read_delimited(exposed(*example_families()))
    stamps = [metric.counter.created_timestamp for metric in calls.metric]
    stamps += [metric.histogram.created_timestamp for metric in latency.metric]
    assert {(s.seconds, s.nanos) for s in stamps} == {(int(CREATED), 250_000_000)}


def test_a_created_stamp_just_below_a_second_is_a_valid_one() -> None:
    snapshot = values_family("x_total", "counter", [1])
    snapshot.created[:] = np.nextafter(1_700_000_001.0, 0)
    (family,) = read_delimited(exposed(snapshot))
    stamp = family.metric[0].counter.created_timestamp
    assert stamp.seconds in {1_700_000_000, 1_700_000_001}
    assert 0 <= stamp.nanos < 1_000_000_000
    assert stamp.seconds + stamp.nanos / 1e9 == pytest.approx(1_700_000_001.0, abs=1e-6)


def test_classic_buckets_are_cumulative_and_leave_inf_to_the_count() -> None:
    histogram = only_histogram(histogram_family("x", (0.5, 2.0), [[1, 300, 20_000]], [7.5]))
    assert [(b.upper_bound, b.cumulative_count) for b in histogram.bucket] == [(0.5, 1), (2, 301)]
    assert histogram.sample_count == 20_301
    assert histogram.sample_sum == 7.5
    assert not histogram.HasField("zero_threshold")


def test_counts_that_are_not_whole_make_a_float_histogram() -> None:
    snapshot = histogram_family(
        "x", (0.5,), [[0.5, 1.75]], [2.0], native=[native(0, 3, [1.25, 0.5], zero_count=0.5)]
    )
    histogram = only_histogram(snapshot)
    assert histogram.sample_count_float == 2.25
    assert not histogram.HasField("sample_count")
    assert [b.cumulative_count_float for b in histogram.bucket] == [0.5]
    assert histogram.zero_count_float == 0.5
    assert positive_buckets(histogram) == {3: 1.25, 4: 0.5}
    assert not histogram.positive_delta


def test_fractions_in_the_native_buckets_alone_make_a_float_histogram() -> None:
    histogram = only_histogram(
        histogram_family("x", (), [[2.0]], [2.0], native=[native(0, 3, [0.5, 1.5])])
    )
    assert histogram.sample_count_float == 2.0
    assert positive_buckets(histogram) == {3: 0.5, 4: 1.5}


def test_counts_beyond_2_to_the_53_are_floats_too() -> None:
    histogram = only_histogram(histogram_family("x", (), [[1e300]], [1.0]))
    assert histogram.sample_count_float == 1e300


def test_a_native_histogram_without_observations_is_known_as_native() -> None:
    histogram = only_histogram(with_native(native(8, 0, [])))
    # Prometheus asks for a span, a zero count or a zero threshold above 0 (isNativeHistogram).
    assert histogram.zero_threshold == 2.0**-128
    assert histogram.schema == 8
    assert not histogram.positive_span
    assert histogram.sample_count == 0


@pytest.mark.parametrize(
    ("counts", "spans", "deltas"),
    [
        ([5], [(-7, 1)], [5]),
        ([5, 0, 1], [(-7, 3)], [5, -5, 1]),
        ([5, 0, 0, 1], [(-7, 4)], [5, -5, 0, 1]),
        ([5, 0, 0, 0, 1], [(-7, 1), (3, 1)], [5, -4]),
        ([0, 0, 5, 1, 0, 0, 0, 0, 2, 0, 9, 0], [(-5, 2), (4, 3)], [5, -4, 1, -2, 9]),
        ([0] * 10, [], []),
    ],
)
def test_gaps_of_up_to_two_buckets_stay_inside_a_span(
    counts: list[float], spans: list[tuple[int, int]], deltas: list[int]
) -> None:
    histogram = only_histogram(with_native(native(3, -7, counts)))
    assert [(span.offset, span.length) for span in histogram.positive_span] == spans
    assert list(histogram.positive_delta) == deltas


def test_large_counts_keep_their_differences() -> None:
    counts = [1.0, 2.0**52, 3.0, 2.0**40, 64.0, 0.0, 63.0]
    histogram = only_histogram(
        histogram_family("x", (), [[2.0**52]], [1.0], native=[native(-4, 0, counts)])
    )
    assert positive_buckets(histogram) == dict(enumerate(counts))
    assert histogram.schema == -4


@pytest.mark.parametrize(("spread", "schema"), [(0.1, 8), (1.0, 5), (12.0, 0)])
def test_native_buckets_hold_what_numpy_counts_between_their_bounds(
    spread: float, schema: int
) -> None:
    values = np.random.default_rng(7).lognormal(-4.0, spread, 4000)
    values[:5] = 0.0
    histograms = NativeHistograms()
    histograms.grow(1)
    histograms.observe(np.zeros(len(values), np.int64), values, np.ones(len(values)))
    buckets = histograms.buckets(0)

    histogram = only_histogram(with_native(buckets))

    assert abs(histogram.schema - schema) <= 1
    assert histogram.sample_count == 4000
    assert histogram.zero_count == 5
    found = positive_buckets(histogram)
    base = 2.0 ** (2.0**-histogram.schema)
    edges = base ** np.arange(min(found) - 1, max(found) + 1)
    # Prometheus's buckets include their upper bound, numpy's the lower: no value is on one.
    counted, _ = np.histogram(values[values > 0], edges)
    assert [found.get(i, 0) for i in range(min(found), max(found) + 1)] == counted.tolist()
    assert counted.sum() == 3995


def test_snapshots_of_one_family_are_one_message() -> None:
    families = read_delimited(exposed(*further_families()))
    names = [family.name for family in families]
    assert names == ["bytes_total", "hits", "wait_seconds", "change", "size"]
    assert [len(family.metric) for family in families] == [3, 1, 3, 1, 2]
    assert [family.unit for family in families] == ["bytes", "", "seconds", "", ""]


def test_a_stamp_that_is_not_known_is_not_written() -> None:
    (counters, *_) = read_delimited(exposed(*further_families()))
    stamped = [metric.counter.HasField("created_timestamp") for metric in counters.metric]
    assert stamped == [True, True, False]


def test_a_summary_has_its_quantiles() -> None:
    snapshot = summary_family("x", (0.5, 1.0), [[-2.0, 8.0]], [4], [12.5])
    (family,) = read_delimited(exposed(snapshot))
    summary = family.metric[0].summary
    assert TYPE_NAMES[family.type] == "SUMMARY"
    assert (summary.sample_count, summary.sample_sum) == (4, 12.5)
    assert [(q.quantile, q.value) for q in summary.quantile] == [(0.5, -2.0), (1.0, 8.0)]
    assert summary.created_timestamp.seconds == int(CREATED)


def test_the_largest_count_of_a_summary_stays_the_largest() -> None:
    snapshot = summary_family("x", (), [[]], [float(2**64 - 1)], [0.0])
    (family,) = read_delimited(exposed(snapshot))
    assert family.metric[0].summary.sample_count == 2**64 - 1


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_a_native_histogram_has_both_signs(weight: float) -> None:
    buckets = both_signs()
    buckets.counts[:] *= weight
    buckets.negative_counts[:] *= weight
    histogram = only_histogram(histogram_family("x", (), [[10]], [-3.5], native=[buckets]))
    assert histogram.HasField("sample_count") == (weight == 1.0)
    assert histogram.zero_threshold == 0.25
    assert positive_buckets(histogram) == {1: 3 * weight}
    found = {index: count for index, count in negative_buckets(histogram).items() if count}
    assert found == {-2: weight, 2: 4 * weight}


def test_a_counter_has_its_exemplar() -> None:
    (counters, *_) = read_delimited(exposed(*further_families()))
    _, counter, _ = (metric.counter for metric in counters.metric)
    assert exemplar_of(counter.exemplar) == exemplar(0.5)


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_classic_buckets_have_exemplars_and_inf_is_there_where_it_has_one(weight: float) -> None:
    exemplars = {0: exemplar(0.25), 2: exemplar(9.0, "c" * 32)}
    counts = [[weight, 0, weight]]
    histogram = only_histogram(
        histogram_family("x", (0.5, 2.0), counts, [9.25], exemplars={0: exemplars})
    )
    found = {b.upper_bound: exemplar_of(b.exemplar) for b in histogram.bucket if b.exemplar.label}
    assert found == {0.5: exemplars[0], math.inf: exemplars[2]}
    field = "cumulative_count" if weight == 1.0 else "cumulative_count_float"
    assert [getattr(b, field) for b in histogram.bucket] == [weight, weight, 2 * weight]
    assert not histogram.exemplars


def test_a_native_histogram_lists_its_exemplars_in_the_order_of_time() -> None:
    exemplars = {
        0: exemplar(0.25, seconds=MOMENT + 2),
        1: exemplar(1.0, seconds=math.nan),
        2: exemplar(9.0, seconds=MOMENT),
    }
    histogram = only_histogram(
        histogram_family(
            *("x", (0.5, 2.0), [[1, 1, 1]], [10.25]),
            native=[native(0, 0, [3])],
            exemplars={0: exemplars},
        )
    )
    assert list(map(exemplar_of, histogram.exemplars)) == [exemplars[2], exemplars[0]]
    assert not histogram.bucket[1].exemplar.HasField("timestamp")


def test_an_exemplar_has_no_more_labels_than_prometheus_stores() -> None:
    many = Exemplar((("trace_id", "a" * 32), ("big", "x" * 86), ("z", "é" * 87)), 1.0, MOMENT)
    histogram = only_histogram(histogram_family("x", (), [[1]], [1.0], exemplars={0: {0: many}}))
    found = exemplar_of(histogram.bucket[0].exemplar)
    assert found.labels == (many.labels[0], many.labels[2])
