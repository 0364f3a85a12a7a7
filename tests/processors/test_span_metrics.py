"""What span metrics count, and under which labels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.clock import SystemClock
from spanmill.processors.span_metrics import SpanMetrics, SpanMetricsSettings
from spanmill.series.names import SpanNames
from spanmill.series.registry import Registry
from spanmill.series.snapshot import FamilySnapshot, Histograms, Values
from spanmill.spans.batch import SPAN_KINDS, SpanBatch
from spanmill.spans.groups import combined, groups_of
from spanmill.telemetry import Telemetry
from spanmill.testing import Span, batch_of

SETTINGS = SpanMetricsSettings(
    dialects=("tempo", "otel"),
    dimensions={"http.route": "http_route"},
    buckets_ns={"tempo": (2_000_000, 8_000_000), "otel": (4_000_000,)},
    max_series=1000,
    idle_timeout_ns=900 * 10**9,
)

Labels = tuple[tuple[str, str], ...]


class Counted:
    """Span metrics over some spans, looked at by name."""

    def __init__(self, settings: SpanMetricsSettings = SETTINGS) -> None:
        self.registry = Registry(SystemClock())
        self.processor = SpanMetrics(settings, self.registry, Telemetry(self.registry), SpanNames())

    def observe(self, *spans: Span, at: int = 10**18) -> Counted:
        self.processor.observe(batch_of(spans, self.processor.attributes, at))
        return self

    def family(self, name: str) -> FamilySnapshot:
        return next(f for f in self.registry.snapshot() if f.family.name == name)

    def values(self, name: str) -> dict[Labels, float]:
        family = self.family(name)
        assert isinstance(family.data, Values)
        return dict(zip(family.label_pairs(), family.data.values.tolist(), strict=True))

    def accepted(self) -> dict[str, float]:
        return {
            labels[0][1]: value
            for labels, value in self.values("spanmill_spans_accepted_total").items()
        }


def test_the_tempo_dialect_has_tempos_names_and_labels() -> None:
    counted = Counted().observe(Span(attributes={"http.route": "/"}), Span(status=2))
    labels = (("service", "shop"), ("span_name", "GET /"), ("span_kind", "SPAN_KIND_SERVER"))
    ok = (*labels, ("status_code", "STATUS_CODE_UNSET"), ("http_route", "/"))
    error = (*labels, ("status_code", "STATUS_CODE_ERROR"))
    assert counted.values("traces_spanmetrics_calls_total") == {ok: 1.0, error: 1.0}
    assert counted.values("traces_spanmetrics_size_total") == {ok: 100.0, error: 100.0}
    assert set(counted.family("traces_spanmetrics_latency").label_pairs()) == {ok, error}


def test_the_otel_dialect_has_the_collectors_names_and_labels() -> None:
    counted = Counted().observe(Span())
    labels = (
        ("service_name", "shop"),
        ("span_name", "GET /"),
        ("span_kind", "SPAN_KIND_SERVER"),
        ("status_code", "STATUS_CODE_UNSET"),
    )
    assert counted.values("traces_span_metrics_calls_total") == {labels: 1.0}
    family = counted.family("traces_span_metrics_duration_milliseconds")
    assert list(family.label_pairs()) == [labels]
    assert isinstance(family.data, Histograms)
    assert family.data.native is None
    assert family.data.bounds == (4.0,)
    assert family.data.sums.tolist() == [5.0]


def test_a_dialect_that_is_off_is_not_shown() -> None:
    counted = Counted(dataclasses.replace(SETTINGS, dialects=("otel",))).observe(Span())
    names = {family.family.name for family in counted.registry.snapshot()}
    assert "traces_span_metrics_calls_total" in names
    assert not any(name.startswith("traces_spanmetrics_") for name in names)


def test_a_duration_on_a_bound_belongs_to_the_bucket_below() -> None:
    durations = [0, 2_000_000, 2_000_001, 8_000_000, 8_000_001]
    counted = Counted().observe(*(Span(duration=duration) for duration in durations))
    data = counted.family("traces_spanmetrics_latency").data
    assert isinstance(data, Histograms)
    assert data.bounds == (0.002, 0.008)
    assert data.bucket_counts.tolist() == [[2.0, 2.0, 1.0]]
    assert data.native is not None
    assert data.native[0].zero_count == 1.0
    assert data.native[0].counts.sum() == 4.0


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        (None, "unknown_service"),
        ("", "unknown_service"),
        ("shop", "shop"),
        (7, "7"),
        (True, "true"),
        (1.5, "1.5"),
        (b"\x01", "AQ=="),
        (("a", 1), '["a",1]'),
    ],
)
def test_a_service_name_of_any_type_has_a_label(given_name: object, shown: str) -> None:
    counted = Counted().observe(Span(service=given_name))  # type: ignore[arg-type]  # on purpose
    ((labels, _),) = counted.values("traces_spanmetrics_calls_total").items()
    assert dict(labels)["service"] == shown


def test_a_dimension_is_looked_up_in_the_span_and_then_in_the_resource() -> None:
    counted = Counted().observe(
        Span(attributes={"http.route": "/span"}, resource={"http.route": "/resource"}),
        Span(resource={"http.route": "/resource"}),
    )
    routes = [
        dict(labels).get("http_route")
        for labels in counted.values("traces_spanmetrics_calls_total")
    ]
    assert routes == ["/span", "/resource"]


def test_a_huge_name_is_cut_and_a_nul_stays() -> None:
    counted = Counted().observe(Span(name="x" * 10_000_000), Span(name="a\0b"))
    names = [
        dict(labels)["span_name"] for labels in counted.values("traces_spanmetrics_calls_total")
    ]
    assert names == ["x" * 1023 + "…", "a\0b"]


def test_over_the_limit_spans_are_counted_in_the_overflow_series_and_in_the_books() -> None:
    counted = Counted(dataclasses.replace(SETTINGS, max_series=1))
    counted.observe(Span(name="a"), Span(name="b"), Span(name="c"), Span(name="a"))
    calls = counted.values("traces_spanmetrics_calls_total")
    assert calls[(("otel_metric_overflow", "true"),)] == 2.0
    assert sum(calls.values()) == 4.0
    assert counted.accepted() == {"counted_own": 2.0, "counted_overflow": 2.0, "filtered": 0.0}


def test_weighted_spans_count_as_many_but_the_books_count_spans() -> None:
    counted = Counted().observe(Span(weight=2.5), Span(weight=2.5))
    assert list(counted.values("traces_spanmetrics_calls_total").values()) == [5.0]
    assert counted.accepted()["counted_own"] == 2.0


def test_an_empty_batch_changes_nothing() -> None:
    counted = Counted().observe()
    assert counted.accepted() == {"counted_own": 0.0, "counted_overflow": 0.0, "filtered": 0.0}


spans = st.builds(
    Span,
    name=st.sampled_from(["a", "b", "c"]),
    service=st.sampled_from(["x", "y"]),
    kind=st.integers(0, len(SPAN_KINDS) - 1),
    status=st.integers(0, 2),
    duration=st.integers(0, 2**40),
    attributes=st.sampled_from([{}, {"http.route": "/"}, {"http.route": "/p"}]),
)


@given(st.lists(spans, min_size=1, max_size=40), st.integers(1, 7))
def test_neither_the_order_nor_the_batch_size_changes_a_result(
    given_spans: list[Span], size: int
) -> None:
    at_once = Counted().observe(*given_spans)
    shuffled = sorted(given_spans, key=lambda span: span.duration)
    in_parts = Counted()
    for i in range(0, len(shuffled), size):
        in_parts.observe(*shuffled[i : i + size])
    assert state(at_once) == state(in_parts)


def state(counted: Counted) -> dict[tuple[str, Labels], object]:
    found: dict[tuple[str, Labels], object] = {}
    for family in counted.registry.snapshot():
        for i, labels in enumerate(family.label_pairs()):
            data = family.data
            if isinstance(data, Values):
                found[family.family.name, labels] = float(data.values[i])
            else:
                assert isinstance(data, Histograms)
                native = data.native[i] if data.native else None
                found[family.family.name, labels] = (
                    data.bucket_counts[i].tolist(),
                    float(data.sums[i]),
                    native and (native.schema, native.first, native.counts.tolist()),
                )
    return found


def test_combined_codes_are_equal_only_where_all_codes_are() -> None:
    random = np.random.default_rng(1)
    columns = [random.integers(-1, 50, 300).astype(np.int32) for _ in range(14)]
    key = combined([(column, 10**6) for column in columns])  # 10^84: far over an int64
    rows = [tuple(int(column[i]) for column in columns) for i in range(300)]
    assert len(set(key.tolist())) == len(set(rows))
    few = [random.integers(-1, 2, 300).astype(np.int32) for _ in range(2)]
    key = combined([(column, 2) for column in few])
    pairs = {(int(a), int(b)): int(k) for a, b, k in zip(*few, key, strict=True)}
    assert len(pairs) == len(set(pairs.values())) == len(set(key.tolist()))


def test_the_job_joins_tempos_series_to_the_info_of_their_resource() -> None:
    settings = dataclasses.replace(SETTINGS, job=True)
    counted = Counted(settings).observe(Span(), Span(resource={"service.namespace": "eu"}))
    jobs = [dict(labels)["job"] for labels in counted.values("traces_spanmetrics_calls_total")]
    assert jobs == ["shop", "eu/shop"]


def test_instances_are_told_apart_where_it_is_asked_for() -> None:
    settings = dataclasses.replace(SETTINGS, job=True, instance=True)
    one, other = ({"service.instance.id": instance} for instance in "ab")
    counted = Counted(settings).observe(Span(resource=one), Span(resource=other))
    for name in ("traces_spanmetrics_calls_total", "traces_span_metrics_calls_total"):
        assert [dict(labels)["instance"] for labels in counted.values(name)] == ["a", "b"]


def test_services_of_one_name_in_two_namespaces_stay_apart_in_the_otel_dialect() -> None:
    settings = dataclasses.replace(SETTINGS, job=True)
    counted = Counted(settings).observe(Span(), Span(resource={"service.namespace": "eu"}))
    shown = [dict(labels) for labels in counted.values("traces_span_metrics_calls_total")]
    assert [labels["service_name"] for labels in shown] == ["shop", "shop"]
    assert [labels.get("job") for labels in shown] == [None, "eu/shop"]


def test_span_names_that_only_ids_tell_apart_are_one_label_set() -> None:
    counted = Counted().observe(Span(name="GET /users/17"), Span(name="GET /users/18"))
    (labels,) = counted.values("traces_spanmetrics_calls_total")
    assert dict(labels)["span_name"] == "GET /users/{id}"


identified = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "c 17", "c 18"]), st.integers(0, 2)),
    min_size=1,
    max_size=12,
)


def with_identities(batch: SpanBatch, names: dict[str, int]) -> SpanBatch:
    """As a decoder gives them: the same for the same group in every batch."""
    groups = groups_of(batch, ("http.route",))
    identities = []
    for row in groups.first.tolist():
        told = (batch.name.value(row), int(batch.status[row]))
        identities.append((names.setdefault(repr(told), len(names) + 1), 5))
    words = np.array(identities, np.uint64)
    return dataclasses.replace(batch, groups=dataclasses.replace(groups, identities=words))


@given(st.lists(identified, max_size=6), st.integers(1, 6))
def test_groups_that_are_known_by_their_identity_are_counted_as_by_their_labels(
    batches: list[list[tuple[int, str, int]]], limit: int
) -> None:
    """With ticks at which label sets expire and are exchanged; two names have one label."""
    settings = dataclasses.replace(SETTINGS, max_series=limit, idle_timeout_ns=40 * 10**9)
    known, looked_up = Counted(settings), Counted(settings)
    names: dict[str, int] = {}
    for i, told in enumerate(batches):
        now = 10**18 + i * 15 * 10**9
        spans = [
            Span(name=name, status=status, duration=1000 * duration)
            for duration, name, status in told
        ]
        batch = batch_of(spans, known.processor.attributes, now)
        looked_up.processor.observe(batch)
        known.processor.observe(with_identities(batch, names))
        assert state(known) == state(looked_up)
        for each in (known, looked_up):
            each.registry.expire(now)
            each.processor.tick(now)
