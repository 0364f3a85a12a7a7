"""The text of attribute values, as Prometheus 3.14's OTLP receiver stores it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.series.label_values import MAX_LENGTH, attribute_text, distinct_text, label_value
from spanmill.spans.batch import AttributeValue

TEXTS: list[tuple[AttributeValue, str]] = [
    (True, "true"),
    (7, "7"),
    (2**60, "1152921504606846976"),
    (1.0, "1"),
    (0.0, "0"),
    (-0.0, "-0"),
    (1.5, "1.5"),
    (1e-5, "0.00001"),
    (1e-6, "0.000001"),
    (1e-7, "1e-7"),
    (-1e-7, "-1e-7"),
    (1e-10, "1e-10"),
    (1e16, "10000000000000000"),
    (1e20, "100000000000000000000"),
    (1e21, "1e+21"),
    (-1e21, "-1e+21"),
    (5e-324, "5e-324"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
    (0.1 + 0.2, "0.30000000000000004"),
    (123456789.123, "123456789.123"),
    (math.nan, "NaN"),
    (math.inf, "Infinity"),
    (-math.inf, "-Infinity"),
    (b"\0\1", "AAE="),
    (None, ""),
    ((), "[]"),
    ({}, "{}"),
    (("a", 1, True, 1.0, 1e-7, None, b"\0\1", -0.0), '["a",1,true,1,1e-7,null,"AAE=",-0]'),
    (('\u2028<é&>\x01"\\/\x7f\b\f\n',), '["\\u2028<é&>\\u0001\\"\\\\/\x7f\\b\\f\\n"]'),
    ({"b": 1.0, "a": ("x",)}, '{"a":["x"],"b":1}'),
]


@pytest.mark.parametrize(("value", "text"), TEXTS)
def test_values_are_the_text_that_prometheuss_receiver_makes(
    value: AttributeValue, text: str
) -> None:
    assert attribute_text(value) == label_value(value) == text


def test_numbers_that_json_lacks_are_told_apart_inside_of_json() -> None:
    assert attribute_text((math.nan, math.inf)) == '["NaN","Infinity"]'


@given(st.floats(allow_nan=False))
def test_the_text_of_a_double_is_that_double(number: float) -> None:
    assert float(attribute_text(number)) == number


def test_what_identifies_a_series_stays_different_where_it_is_cut() -> None:
    texts = ["x" * MAX_LENGTH + end for end in ("a", "b", "bb")]
    cut = {distinct_text(text) for text in texts}
    assert len(cut) == 3
    assert {len(text) for text in cut} == {MAX_LENGTH}
    assert distinct_text("x" * MAX_LENGTH) == "x" * MAX_LENGTH


def test_what_is_counted_up_is_cut_alone() -> None:
    assert label_value("x" * 2000) == "x" * MAX_LENGTH
