"""The kernel writes the same bytes as the reference."""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client_model import read_delimited
from exposition_examples import (
    HOSTILE,
    example_families,
    exemplar,
    further_families,
    histogram_family,
    native,
    values_family,
)
from spanmill.exporters.exposition import Format, load_renderer, render
from spanmill.exporters.exposition.chunks import CHUNK_BYTES
from spanmill.exporters.exposition.numbers import number_texts
from spanmill.series.packed_exemplars import PackedExemplars
from spanmill.series.snapshot import (
    Exemplar,
    FamilySnapshot,
    FamilyType,
    Histograms,
    LabelValues,
    NativeBuckets,
    PackedNative,
    Values,
)

EDGES = [
    *(0.0, -0.0, math.nan, math.inf, -math.inf, 1.0, -1.0, 0.5, 0.1, 0.2, 0.3, 1e-4, 9.9999e-5),
    *(2.0**53, 2.0**53 - 1, 2.0**53 + 2, 1e15, 9007199254740993.0, 1e16, 9999999999999998.0, 1e22),
    *(1e21, 123456789012345680.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308),
    *(999999.999999999, 1e6, 1000000.000000001, 0.000123456789, 1.000000001, 4.35, 1e-9, 2.0**-44),
    *(0.30000000000000004, 1 / 3, 123456.789012345, 99999.9999999995, 0.0001000001),
]


@pytest.fixture(scope="module")
def kernel() -> ModuleType:
    found = load_renderer()
    if found is None:
        pytest.skip("the exposition's kernel isn't built")
    return found


def renderer() -> ModuleType:
    """The kernel, where hypothesis can't be given a fixture."""
    found = load_renderer()
    if found is None:
        pytest.skip("the exposition's kernel isn't built")
    return found


def assert_same(snapshots: list[FamilySnapshot], kernel: ModuleType) -> None:
    for form in Format:
        for created in (False, True):
            reference = render(snapshots, form, created_timestamps=created)
            compiled = render(snapshots, form, created_timestamps=created, kernel=kernel)
            assert b"".join(compiled) == b"".join(reference), form


def test_the_examples_are_the_same(kernel: ModuleType) -> None:
    assert_same([*example_families(), *further_families()], kernel)
    for snapshot in (*example_families(), *further_families()):
        assert_same([packed(snapshot)], kernel)


def packed(snapshot: FamilySnapshot) -> FamilySnapshot:
    """With its native histograms as columns, where columns can hold them."""
    data = snapshot.data
    if not isinstance(data, Histograms) or data.native is None:
        return snapshot
    if any(len(n.negative_counts) or n.zero_threshold for n in data.native):
        return snapshot
    return FamilySnapshot(
        snapshot.family,
        snapshot.label_names,
        snapshot.labels,
        snapshot.created,
        Histograms(
            data.bounds,
            data.bucket_counts,
            data.counts,
            data.sums,
            packed_native(list(data.native)),
            data.exemplars,
        ),
    )


def packed_native(series: list[NativeBuckets]) -> PackedNative:
    return PackedNative(
        schemas=np.array([n.schema for n in series], np.int8),
        zero_counts=np.array([n.zero_count for n in series], np.float64),
        firsts=np.array([n.first for n in series], np.int32),
        begins=np.cumsum([0, *(len(n.counts) for n in series)]).astype(np.int64),
        counts=np.concatenate([np.zeros(0), *(n.counts for n in series)]),
    )


@pytest.mark.parametrize("kind", ["counter", "gauge", "unknown"])
def test_numbers_at_the_edges_are_the_same(kernel: ModuleType, kind: FamilyType) -> None:
    labels: list[LabelValues | None] = [(str(i),) for i in range(len(EDGES))]
    assert_same([values_family("x", kind, EDGES, names=("i",), labels=labels)], kernel)


any_number = (
    st.floats()
    | st.sampled_from(EDGES)
    | st.integers(-(10**17), 10**17).map(float)
    | st.integers(0, 10**16).map(lambda nanoseconds: nanoseconds / 1e9)
    | st.integers(0, 10**9).map(lambda n: n / 1000 * 7)
)


@given(st.lists(any_number, min_size=1, max_size=30))
def test_any_number_is_the_same(values: list[float]) -> None:
    kernel = renderer()
    labels: list[LabelValues | None] = [(str(i),) for i in range(len(values))]
    (text,) = render(
        [values_family("x", "gauge", values, names=("i",), labels=labels, text="")],
        Format.TEXT,
        created_timestamps=False,
        kernel=kernel,
    )
    assert [line.split()[-1] for line in text.decode().splitlines()[1:]] == number_texts(values)


texts = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(["", HOSTILE, "é\n%s"])
label_values: st.SearchStrategy[LabelValues] = st.tuples(texts, texts)
series_labels = st.lists(st.none() | label_values, min_size=1, max_size=5, unique=True)
moments = st.just(math.nan) | st.floats(0, 4e9) | st.just(1_700_000_000.9999999)
exemplars = st.builds(
    Exemplar,
    labels=st.lists(st.tuples(st.just("trace_id"), texts), max_size=1).map(tuple),
    value=any_number,
    seconds=moments,
)
weights = st.sampled_from([0.0, 0.0, 1.0, 3.0, 2.5, 1 / 3, 2.0**53]) | st.integers(0, 2**40).map(
    float
)


@st.composite
def native_series(draw: st.DrawFn, n: int) -> PackedNative:
    return packed_native(
        [
            native(
                draw(st.integers(-4, 8)),
                draw(st.integers(-5000, 5000)),
                draw(st.lists(weights, max_size=25)),
                draw(weights),
            )
            for _ in range(n)
        ]
    )


@st.composite
def any_family(draw: st.DrawFn) -> FamilySnapshot:
    labels: list[LabelValues | None] = draw(series_labels)
    n = len(labels)
    kind: FamilyType = draw(st.sampled_from(["counter", "gauge", "unknown", "histogram"]))
    name = draw(st.sampled_from(["x", "x_total"])) if kind == "counter" else "x"
    if kind != "histogram":
        values = draw(st.lists(any_number, min_size=n, max_size=n))
        found = draw(st.dictionaries(st.integers(0, n - 1), exemplars))
        snapshot = values_family(
            name, kind, values, names=("a", "b_c"), labels=labels, exemplars=found
        )
    else:
        bounds = sorted(draw(st.sets(st.floats(-1e9, 1e9), max_size=4)))
        width = len(bounds) + 1
        row = st.lists(weights, min_size=width, max_size=width)
        snapshot = histogram_family(
            name,
            tuple(bounds),
            draw(st.lists(row, min_size=n, max_size=n)),
            draw(st.lists(any_number, min_size=n, max_size=n)),
            names=("a", "b_c"),
            labels=labels,
            native=draw(st.none() | native_series(n)),
            exemplars=draw(
                st.dictionaries(
                    # Past the bounds too: a native histogram shows those.
                    st.integers(0, n - 1),
                    st.dictionaries(st.integers(0, width + 2), exemplars),
                )
            ),
        )
    snapshot.created[:] = draw(st.lists(moments, min_size=n, max_size=n))
    return snapshot


@given(any_family())
@example(histogram_family("h", (), [[0]], [0], native=packed_native([native(0, 0, [])])))
@example(values_family("x_total", "counter", [1], exemplars={0: exemplar(math.inf)}))
def test_any_family_is_the_same_in_every_format(snapshot: FamilySnapshot) -> None:
    assert_same([snapshot], renderer())


def test_many_series_are_the_same_in_several_chunks(kernel: ModuleType) -> None:
    n = 12_000
    rng = np.random.default_rng(1)
    series = [native(3, -20, rng.poisson(0.6, 40).tolist(), i % 3) for i in range(n)]
    found = {i: {i % 3: exemplar(i / 7), 1: exemplar(0.5)} for i in range(0, n, 7)}
    snapshot = histogram_family(
        "latency_seconds",
        (0.1, 0.2, 0.4),
        rng.poisson(3, (n, 4)).tolist(),
        (rng.integers(0, 10**13, n) / 1e9).tolist(),
        names=("service", "span_name"),
        labels=[(f"service {i % 40}", f"GET /{i}") for i in range(n)],
        native=packed_native(series),
        exemplars=found,
    )
    chunks = list(render([snapshot], Format.TEXT, created_timestamps=False, kernel=kernel))
    assert len(chunks) > 3
    assert max(map(len, chunks)) < CHUNK_BYTES * 1.1
    assert_same([snapshot], kernel)


def test_a_large_family_goes_on_in_another_protobuf_message(
    kernel: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spanmill.exporters.exposition.protobuf.MESSAGE_BYTES", 700_000)
    n = 30_000
    labels: list[LabelValues | None] = [(f"{i:0100}",) for i in range(n)]
    snapshot = values_family("x_total", "counter", range(n), names=("a",), labels=labels)
    for each in (kernel, None):
        chunks = render([snapshot], Format.PROTOBUF, created_timestamps=False, kernel=each)
        families = read_delimited(b"".join(chunks))
        assert len(families) > 3
        assert {(f.name, f.help, f.type) for f in families} == {("x_total", "Some help.", 0)}
        values = [metric.counter.value for family in families for metric in family.metric]
        assert values == list(range(n))


def test_labels_that_are_no_text_are_refused(kernel: ModuleType) -> None:
    snapshot = values_family("x", "gauge", [1, 2], names=("a",), labels=[("1",), ("2", "3")])
    with pytest.raises(ValueError, match="label"):
        b"".join(render([snapshot], Format.TEXT, created_timestamps=False, kernel=kernel))
    snapshot = values_family("x", "gauge", [1], names=("a",), labels=[("\ud800",)])
    with pytest.raises(UnicodeEncodeError):
        b"".join(render([snapshot], Format.TEXT, created_timestamps=False, kernel=kernel))


def test_arrays_that_contradict_each_other_are_refused(kernel: ModuleType) -> None:
    good = packed_native([native(0, 1, [1, 2]), native(0, 1, [3])])
    for begins in ([0, 3, 2], [0, 2, 4], [-1, 2, 3], [0, 2]):
        bad = PackedNative(
            good.schemas, good.zero_counts, good.firsts, np.array(begins), good.counts
        )
        snapshot = histogram_family(
            "h", (), [[1], [2]], [1, 2], names=("a",), labels=[("1",), ("2",)], native=bad
        )
        with pytest.raises(ValueError, match="native"):
            b"".join(render([snapshot], Format.PROTOBUF, created_timestamps=False, kernel=kernel))
    three = values_family("x", "gauge", [1, 2, 3], names=("a",), labels=[("1",), ("2",), ("3",)])
    torn = FamilySnapshot(
        three.family, three.label_names, three.labels, three.created, Values(np.ones(2))
    )
    for form in (Format.TEXT, Format.PROTOBUF):
        with pytest.raises(ValueError, match="series"):
            b"".join(render([torn], form, created_timestamps=False, kernel=kernel))


@st.composite
def packed_exemplars(draw: st.DrawFn, series: int, buckets: int) -> PackedExemplars:
    places = sorted(draw(st.sets(st.integers(0, series * buckets - 1))))
    n = len(places)
    seconds = st.sampled_from([0.0, 1.5, 1_700_000_000.123456, 1_700_000_001.0])
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return PackedExemplars(
        positions=np.array(places, np.int64) // buckets,
        buckets=np.array(places, np.int64) % buckets,
        trace_ids=rng.integers(0, 256, (n, 16)).astype(np.uint8),
        span_ids=rng.integers(0, 256, (n, 8)).astype(np.uint8),
        values=np.array(draw(st.lists(any_number, min_size=n, max_size=n)), np.float64),
        seconds=np.array(draw(st.lists(seconds, min_size=n, max_size=n)), np.float64),
    )


@given(packed_exemplars(series=3, buckets=4))
def test_exemplars_in_arrays_are_shown_like_others(exemplars: PackedExemplars) -> None:
    """The reference, with an object for each, against the arrays' own way."""
    kernel = renderer()
    shown = histogram_family(
        "h",
        (0.1, 0.2, 0.3),
        [[1, 2, 3, 4]] * 3,
        [1.5, 2.5, 3.5],
        names=("a",),
        labels=[("1",), ("2",), ("3",)],
        native=packed_native([native(0, 1, [1, 2, 7])] * 3),
        exemplars=exemplars,
    )
    assert isinstance(shown.data, Histograms)
    plainly = replace(shown, data=replace(shown.data, exemplars=dict(exemplars)))
    for form in Format:
        wanted = b"".join(render([plainly], form, created_timestamps=False))
        for each in (kernel, None):
            found = render([shown], form, created_timestamps=False, kernel=each)
            assert b"".join(found) == wanted
