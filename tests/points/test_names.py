"""Names and units in Prometheus's words.

The cases of PUBLISHED_NAMES are those of prometheus/otlptranslator at commit 51da773 (v1.0.0 and
later, Apache-2.0): metric_namer_test.go, as far as they are about names that are escaped and get
suffixes, without a namespace. LABELS_OF_THE_RECEIVER are what Prometheus 3.14 stores of the keys
that are sent to its OTLP receiver.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.points.batch import Metric, MetricScope, MetricType
from spanmill.points.names import family_kind, label_name, translated_name, unit_name

COUNTER = "counter"
UPDOWN = "up-down counter"


def metric(
    name: str, unit: str = "", kind: str = "gauge", metadata: tuple[str, ...] = ()
) -> Metric:
    types: dict[str, MetricType] = {
        COUNTER: "sum",
        UPDOWN: "sum",
        "gauge": "gauge",
        "histogram": "histogram",
        "exponential_histogram": "exponential_histogram",
        "summary": "summary",
    }
    return Metric(
        resource=(),
        scope=MetricScope("", ""),
        name=name,
        unit=unit,
        description="",
        type=types[kind],
        temporality="",
        monotonic=kind == COUNTER,
        points=(),
        metadata=metadata,
    )


PUBLISHED_NAMES = [
    ("requests", "", COUNTER, "requests_total", ""),
    ("cpu_usage", "1", "gauge", "cpu_usage_ratio", ""),
    ("items", "1", COUNTER, "items_total", ""),
    ("response_time", "ms", "gauge", "response_time_milliseconds", "milliseconds"),
    ("memory_usage", "By", "gauge", "memory_usage_bytes", "bytes"),
    ("requests", "1/s", "gauge", "requests_per_second", "per_second"),
    ("throughput", "By/s", "gauge", "throughput_bytes_per_second", "bytes_per_second"),
    ("custom_metric", "custom_unit", "gauge", "custom_metric_custom_unit", "custom_unit"),
    ("custom_metric", "{custom}", "gauge", "custom_metric", ""),
    ("custom_metric", "By/{custom}", "gauge", "custom_metric_bytes", "bytes"),
    ("requests_total", "", COUNTER, "requests_total", ""),
    ("cpu_usage_ratio", "1", "gauge", "cpu_usage_ratio", ""),
    ("response_time_seconds", "s", "gauge", "response_time_seconds", "seconds"),
    ("cpu_seconds_total", "s", COUNTER, "cpu_seconds_total", "seconds"),
    (
        "otelcol_process_cpu_seconds",
        "s",
        COUNTER,
        "otelcol_process_cpu_seconds_total",
        "seconds",
    ),
    (
        "metric__with__multiple__underscores",
        "unit__multiple__underscores",
        "gauge",
        "metric_with_multiple_underscores_unit_multiple_underscores",
        "unit_multiple_underscores",
    ),
    (
        "custom_metric",
        "unit@with#special/chars",
        "gauge",
        "custom_metric_unit_with_special_per_chars",
        "unit_with_special_per_chars",
    ),
    ("@#$%", "", "gauge", None, ""),
    ("request_duration", "s", "histogram", "request_duration_seconds", "seconds"),
    ("request_size", "By", "exponential_histogram", "request_size_bytes", "bytes"),
    ("response_time", "ms", "summary", "response_time_milliseconds", "milliseconds"),
    ("active_connections", "", UPDOWN, "active_connections", ""),
    ("uptime", "d", "gauge", "uptime_days", "days"),
    ("duration", "h", "gauge", "duration_hours", "hours"),
    ("timeout", "min", "gauge", "timeout_minutes", "minutes"),
    ("latency", "us", "gauge", "latency_microseconds", "microseconds"),
    ("precision_time", "ns", "gauge", "precision_time_nanoseconds", "nanoseconds"),
    ("cache_size", "KiBy", "gauge", "cache_size_kibibytes", "kibibytes"),
    ("memory", "MiBy", "gauge", "memory_mebibytes", "mebibytes"),
    ("storage", "GiBy", "gauge", "storage_gibibytes", "gibibytes"),
    ("capacity", "TiBy", "gauge", "capacity_tibibytes", "tibibytes"),
    ("transfer", "KBy", "gauge", "transfer_kilobytes", "kilobytes"),
    ("download", "MBy", "gauge", "download_megabytes", "megabytes"),
    ("backup", "GBy", "gauge", "backup_gigabytes", "gigabytes"),
    ("archive", "TBy", "gauge", "archive_terabytes", "terabytes"),
    ("distance", "m", "gauge", "distance_meters", "meters"),
    ("voltage", "V", "gauge", "voltage_volts", "volts"),
    ("current", "A", "gauge", "current_amperes", "amperes"),
    ("energy", "J", "gauge", "energy_joules", "joules"),
]

LABELS_OF_THE_RECEIVER = {
    "label:with:colons": "label_with_colons",
    "LabelWithCapitalLetters": "LabelWithCapitalLetters",
    "label!with&special$chars)": "label_with_special_chars_",
    "label_with_foreign_characters_字符": "label_with_foreign_characters___",
    "label.with.dots": "label_with_dots",
    ".foo": "key_foo",
    "123label": "key_123label",
    "_label_starting_with_underscore": "key_label_starting_with_underscore",
    "label__with__double__underscores": "label__with__double__underscores",
    "label.name__with&&special##chars": "label_name__with__special__chars",
    "trailing_underscores___": "trailing_underscores___",
    "a..b": "a__b",
    "é": "key_",
    "_": "key_",
}

LABELS_THAT_THE_RECEIVER_RESERVES_OR_REFUSES = {
    "__label_starting_with_2underscores": "key__label_starting_with_2underscores",
    "__reserved__label__name__": "key__reserved__label__name__",
    "..z": "key__z",
    "ようこそ": "key_5d2340a39842",
    "": "key_ddd9c40767f9",
    "__": "key_360400a58e45",
}


@pytest.mark.parametrize(("name", "unit", "kind", "expected", "expected_unit"), PUBLISHED_NAMES)
def test_names_are_those_of_prometheuss_translator(
    name: str, unit: str, kind: str, expected: str | None, expected_unit: str
) -> None:
    translated = translated_name(metric(name, unit, kind))
    assert (translated.name if translated else None) == expected
    assert unit_name(unit) == expected_unit


@pytest.mark.parametrize(("key", "expected"), LABELS_OF_THE_RECEIVER.items())
def test_labels_are_those_of_prometheuss_receiver(key: str, expected: str) -> None:
    assert label_name(key) == expected


@pytest.mark.parametrize(("key", "expected"), LABELS_THAT_THE_RECEIVER_RESERVES_OR_REFUSES.items())
def test_what_prometheuss_receiver_reserves_or_refuses_is_a_label_all_the_same(
    key: str, expected: str
) -> None:
    assert label_name(key) == expected


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected", "expected_unit"),
    [
        ("system.network.io", "By", COUNTER, "system_network_io_bytes_total", "bytes"),
        ("hw.status", "1", "gauge", "hw_status_ratio", "ratio"),
        ("total.items", "", COUNTER, "items_total", ""),
        ("seconds.of.work", "s", "gauge", "seconds_of_work", ""),
        ("2xx", "", "gauge", "_2xx", ""),
        ("a:b", "", "gauge", "a:b", ""),
        ("löwe", "", "gauge", "l_we", ""),
        ("speed", "m/s", "gauge", "speed_meters_per_second", "meters_per_second"),
        ("speed_meters", "m/s", "gauge", "speed_meters_per_second", "meters_per_second"),
        ("x", "{a}/{b}", "gauge", "x", ""),
        ("x", "/s", "gauge", "x_per_second", "per_second"),
        ("x", " ms ", "gauge", "x_milliseconds", "milliseconds"),
        ("x", "/@", "gauge", "x", ""),
        ("\0", "", "gauge", None, ""),
    ],
)
def test_suffixes_and_units(
    name: str, unit: str, kind: str, expected: str | None, expected_unit: str
) -> None:
    translated = translated_name(metric(name, unit, kind))
    assert (translated.name if translated else None) == expected
    assert (translated.unit if translated else "") == expected_unit


@given(st.text(max_size=20), st.text(max_size=12), st.sampled_from(["gauge", COUNTER, "summary"]))
def test_every_name_can_be_shown_and_ends_in_its_unit(name: str, unit: str, kind: str) -> None:
    translated = translated_name(metric(name, unit, kind))
    if translated is None:
        return
    assert re.fullmatch("[a-zA-Z_:][a-zA-Z0-9_:]*", translated.name)
    bare = translated.name.removesuffix("_total") if kind == COUNTER else translated.name
    assert bare.endswith(translated.unit)


@given(st.text(max_size=20))
def test_every_label_can_be_shown(key: str) -> None:
    assert re.fullmatch("(?!__)[a-zA-Z_][a-zA-Z0-9_]*", label_name(key))


@given(st.lists(st.text("город城市_", min_size=2, max_size=6), unique=True, max_size=8))
def test_keys_of_which_nothing_can_be_kept_have_labels_of_their_own(keys: list[str]) -> None:
    assert len({label_name(key) for key in keys}) == len(keys)


@pytest.mark.parametrize(
    ("kind", "metadata", "expected"),
    [
        (COUNTER, (), "counter"),
        (UPDOWN, (), "gauge"),
        ("gauge", (), "gauge"),
        ("gauge", ("prometheus.type", "unknown"), "unknown"),
        ("gauge", ("prometheus.type", "gauge"), "gauge"),
        ("histogram", (), "histogram"),
        ("exponential_histogram", (), "histogram"),
        ("summary", (), "summary"),
    ],
)
def test_types_in_prometheus(kind: str, metadata: tuple[str, ...], expected: str) -> None:
    assert family_kind(metric("m", kind=kind, metadata=metadata)) == expected
