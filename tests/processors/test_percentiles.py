"""Which percentiles are shown, of which spans, and for how long."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import ceil

import pytest

from kernel_choice import kernel_or_reference
from spanmill.clock import SystemClock
from spanmill.exporters.exposition.text import encode
from spanmill.processors.percentiles import Percentiles, PercentilesSettings
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Values
from spanmill.spans.batch import SPAN_KINDS
from spanmill.spans.installed import load_decoder
from spanmill.telemetry import Telemetry
from spanmill.testing import Span, batch_of

choice = kernel_or_reference("spanmill.series._window")

SECOND = 10**9
NOW = 10**18
MS = 10**6
ERROR = 0.011
LAST_UINT64 = 2**64 - 1
SERVER = "SPAN_KIND_SERVER"

Series = tuple[str, str, str]


class Upper:
    """Names as capitals, so that it shows whether they were asked for."""

    def labels(self, values: Sequence[str]) -> list[str]:
        return [value.upper() for value in values]


class Shown:
    """Percentiles, looked at through the registry."""

    def __init__(self, window_seconds: int = 300, max_series: int = 100) -> None:
        self.registry = Registry(SystemClock())
        settings = PercentilesSettings(window_seconds * SECOND, max_series)
        self.processor = Percentiles(settings, self.registry, Telemetry(self.registry), Upper())

    def observe(self, *spans: Span, at: int = NOW) -> Shown:
        self.processor.observe(batch_of(spans, arrival_ns=at))
        return self

    def tick(self, at: int) -> Shown:
        self.processor.tick(at)
        return self

    def values(self, name: str) -> dict[tuple[str | None, ...], float]:
        for family in self.registry.snapshot(passed_through=False):
            if family.family.name == name:
                assert isinstance(family.data, Values)
                labels = [tuple(values or ()) for values in family.labels]
                return dict(zip(labels, family.data.values.tolist(), strict=True))
        return {}

    def value(self, name: str) -> float:
        (value,) = self.values(name).values()
        return value

    def latencies(self) -> dict[Series, list[float]]:
        found: dict[Series, list[float]] = {}
        for (service, name, kind, _), value in self.values("spanmill_latency_seconds").items():
            found.setdefault((str(service), str(name), str(kind)), []).append(value)
        return found


def ending(at: int, duration: int = 5 * MS, **fields: object) -> Span:
    return Span(start=at - duration, duration=duration, **fields)  # type: ignore[arg-type]  # any


def test_a_series_has_four_quantiles_under_its_labels() -> None:
    spans = [ending(NOW, duration * MS) for duration in range(1, 101)]
    values = Shown().observe(*spans).values("spanmill_latency_seconds")
    expected = {"0.5": 0.050, "0.9": 0.090, "0.95": 0.095, "0.99": 0.099}
    assert values == {
        ("shop", "GET /", SERVER, quantile): pytest.approx(seconds, rel=ERROR)
        for quantile, seconds in expected.items()
    }


def test_the_family_is_a_gauge_in_seconds() -> None:
    (family,) = (
        family
        for family in Shown().observe(ending(NOW)).registry.snapshot(passed_through=False)
        if family.family.name == "spanmill_latency_seconds"
    )
    assert (family.family.type, family.family.unit) == ("gauge", "")
    assert family.label_names == ("service", "span_name", "span_kind", "quantile")


def test_service_name_and_kind_each_make_a_series_and_nothing_else_does() -> None:
    shown = Shown().observe(
        ending(NOW, name="a"),
        ending(NOW, name="a", status=2, resource={"host.name": "other"}),
        ending(NOW, name="b"),
        ending(NOW, name="a", kind=3),
        ending(NOW, name="a", service="cart"),
        ending(NOW, name="a", service=None),
    )
    assert set(shown.latencies()) == {
        ("shop", "A", SERVER),
        ("shop", "B", SERVER),
        ("shop", "A", "SPAN_KIND_CLIENT"),
        ("cart", "A", SERVER),
        ("unknown_service", "A", SERVER),
    }


def test_names_that_have_one_label_are_one_series() -> None:
    shown = Shown().observe(ending(NOW, 1 * MS, name="get"), ending(NOW, 9 * MS, name="GET"))
    assert shown.latencies() == {
        ("shop", "GET", SERVER): [
            pytest.approx(0.001, rel=ERROR),
            *[pytest.approx(0.009, rel=ERROR)] * 3,
        ]
    }


def test_a_span_counts_as_many_times_as_it_stands_for() -> None:
    shown = Shown().observe(ending(NOW, 1 * MS, weight=1000.0), ending(NOW, 1000 * MS))
    ((shown_at_all),) = shown.latencies().values()
    assert shown_at_all == [pytest.approx(0.001, rel=ERROR)] * 4


def test_spans_leave_after_the_window_and_an_idle_series_is_absent() -> None:
    shown = Shown().observe(ending(NOW, name="old"))
    assert set(shown.tick(NOW + 300 * SECOND).latencies()) == {("shop", "OLD", SERVER)}
    shown.observe(ending(NOW + 305 * SECOND, name="new"), at=NOW + 305 * SECOND)
    shown.tick(NOW + 320 * SECOND)
    assert set(shown.latencies()) == {("shop", "NEW", SERVER)}
    assert not shown.tick(NOW + 700 * SECOND).latencies()


def test_a_backlog_goes_where_it_belongs() -> None:
    shown = Shown().observe(ending(NOW - 290 * SECOND, name="old"), ending(NOW, name="new"))
    assert set(shown.latencies()) == {("shop", "OLD", SERVER), ("shop", "NEW", SERVER)}
    assert set(shown.tick(NOW + 30 * SECOND).latencies()) == {("shop", "NEW", SERVER)}


def test_a_span_whose_slot_is_gone_is_counted_as_late_and_left_out() -> None:
    shown = Shown().observe(
        ending(NOW - 400 * SECOND, name="late"), ending(NOW - 401 * SECOND), ending(NOW, name="ok")
    )
    assert shown.values("spanmill_window_late_spans_total") == {("percentiles",): 2.0}
    assert set(shown.latencies()) == {("shop", "OK", SERVER)}
    assert len(shown.processor._series) == 1


def test_a_fast_clock_cannot_write_the_future() -> None:
    shown = Shown().observe(ending(NOW + 86_400 * SECOND, name="fast"))
    assert set(shown.latencies()) == {("shop", "FAST", SERVER)}
    assert not shown.tick(NOW + 310 * SECOND).latencies()


@pytest.mark.parametrize(
    ("start", "duration", "shown_as", "late"),
    [
        (0, 0, None, 1),  # both times missing
        (1, 5, None, 1),  # 1970
        (4_102_444_800 * SECOND, 7 * MS, 0.007, 0),  # 2100
        (LAST_UINT64 - 7 * MS, 7 * MS, 0.007, 0),
        (LAST_UINT64, 0, 0.0, 0),  # ends where time ends
        (NOW, 0, 0.0, 0),  # end before start
        (0, NOW, 1e9, 0),  # no start
        (0, LAST_UINT64, LAST_UINT64 / 1e9, 0),
    ],
)
def test_clocks_that_lie_do_no_harm(
    start: int, duration: int, shown_as: float | None, late: int
) -> None:
    liar = Span(name="liar", start=start, duration=duration)
    shown = Shown().observe(liar, ending(NOW, 3 * MS, name="honest"))
    latencies = shown.latencies()
    assert latencies[("shop", "HONEST", SERVER)] == [pytest.approx(0.003, rel=ERROR)] * 4
    expected = None if shown_as is None else [pytest.approx(shown_as, rel=ERROR)] * 4
    assert latencies.get(("shop", "LIAR", SERVER)) == expected
    assert shown.value("spanmill_window_late_spans_total") == late
    assert not shown.tick(NOW + 310 * SECOND).latencies()


def test_an_arrival_in_2100_is_healed_when_the_clock_is() -> None:
    shown = Shown().observe(ending(NOW), at=4_102_444_800 * SECOND)
    shown.observe(ending(NOW, name="healed"), at=NOW)
    assert set(shown.latencies()) == {("shop", "HEALED", SERVER)}
    assert set(shown.tick(NOW + 300 * SECOND).latencies()) == {("shop", "HEALED", SERVER)}


def test_spans_without_a_place_are_counted() -> None:
    shown = Shown(max_series=2).observe(
        *(ending(NOW, name=name) for name in ("a", "b", "c", "c", "d"))
    )
    assert len(shown.latencies()) == 2
    assert shown.value("spanmill_percentiles_left_out_spans_total") == 3


def test_a_busier_series_takes_a_place_and_starts_with_nothing() -> None:
    shown = Shown(max_series=1).observe(*[ending(NOW, 1 * MS, name="few")] * 2)
    shown.observe(*[ending(NOW, 9 * MS, name="many")] * 10)
    shown.tick(NOW + 10 * SECOND)
    assert not shown.latencies()
    shown.observe(ending(NOW, 5 * MS, name="many"), at=NOW + 11 * SECOND)
    assert shown.latencies() == {("shop", "MANY", SERVER): [pytest.approx(0.005, rel=ERROR)] * 4}


def test_a_place_that_was_won_but_not_used_yet_is_not_shown() -> None:
    shown = Shown(max_series=3).observe(ending(NOW, name="a"), ending(NOW, name="b"))
    shown.observe(ending(NOW, name="c"), *[ending(NOW, name="d")] * 5)
    shown.tick(NOW + 10 * SECOND)
    assert len(shown.latencies()) == 2


def test_the_state_is_bounded_when_every_span_has_a_name_of_its_own() -> None:
    shown = Shown(max_series=10)
    for begin in range(0, 20_000, 1_000):
        at = NOW + begin // 1_000 * SECOND
        names = (f"n{i}" for i in range(begin, begin + 1_000))
        shown.observe(*(ending(at, name=name) for name in names), at=at)
    assert len(shown.latencies()) == 10
    assert len(shown.processor._series._candidates) <= 2_000
    assert shown.value("spanmill_percentiles_left_out_spans_total") >= 20_000 - 30


def test_an_empty_batch_is_a_batch() -> None:
    assert not Shown().observe().latencies()


def test_the_length_of_the_window_is_shown() -> None:
    assert Shown(45).observe(ending(NOW)).value("spanmill_percentiles_window_seconds") == 50


def test_a_service_that_is_always_late_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "spanmill.series.window_lateness")
    shown = Shown()
    for second in range(0, 320, 10):
        at = NOW + second * SECOND
        shown.observe(ending(at - 3600 * SECOND, service="slow"), ending(at), at=at).tick(at)
    assert shown.value("spanmill_window_late_services") == 1
    assert [vars(record)["service"] for record in caplog.records] == ["slow"]


def test_the_text_format_shows_it() -> None:
    shown = Shown().observe(ending(NOW, 0))
    text = b"".join(encode(shown.registry.snapshot())).decode()
    line = 'spanmill_latency_seconds{service="shop",span_name="GET /",'
    assert f'{line}span_kind="SPAN_KIND_SERVER",quantile="0.5"}} 0' in text


def test_percentiles_of_the_recorded_shop_are_those_of_its_spans(
    astronomy_requests: list[bytes],
) -> None:
    decoder = load_decoder(())
    batches = [decoder.decode(request).batch for request in astronomy_requests]
    now = max(int(batch.end.max()) for batch in batches)
    shown = Shown()
    durations: dict[Series, list[int]] = {}
    for batch in batches:
        shown.processor.observe(batch.arrived(now))
        for row in range(len(batch)):
            resource = batch.resource.value(row)
            assert resource is not None
            series = (
                str(resource.attributes["service.name"]),
                str(batch.name.value(row)).upper(),
                SPAN_KINDS[batch.kind[row]],
            )
            durations.setdefault(series, []).append(int(batch.duration[row]))
    latencies = shown.latencies()
    assert set(latencies) == set(durations)
    for series, found in latencies.items():
        ascending = sorted(durations[series])
        ranks = [ceil(len(ascending) * percent / 100) for percent in (50, 90, 95, 99)]
        exact = [ascending[rank - 1] / 1e9 for rank in ranks]
        assert found == [pytest.approx(seconds, rel=ERROR) for seconds in exact]
