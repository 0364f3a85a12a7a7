from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.config.scalars import resolve_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("", None), ("~", None), ("null", None)),
        *(("true", True), ("FALSE", False)),
        *(("0", 0), ("-12", -12), ("+12", 12), ("0o17", 15), ("0xff", 255), ("007", 7)),
        *(("1.5", 1.5), ("-.5", -0.5), ("1e3", 1000.0), ("3.", 3.0), (".inf", math.inf)),
    ],
)
def test_an_unquoted_value_has_the_type_of_yaml_1_2(text: str, value: object) -> None:
    resolved = resolve_scalar(text)
    assert resolved == value
    assert type(resolved) is type(value)


@pytest.mark.parametrize(
    "text", ["no", "on", "Y", "1:30", "2001-01-01", "1_000", "0b1", "15m", "nan"]
)
def test_what_yaml_1_1_would_have_turned_into_something_else_is_a_text(text: str) -> None:
    assert resolve_scalar(text) == text


def test_an_integer_of_400_digits_is_a_float() -> None:
    assert resolve_scalar("9" * 400) == math.inf


@given(st.integers(-(10**39), 10**39))
def test_an_integer_is_itself(number: int) -> None:
    assert resolve_scalar(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_itself(number: float) -> None:
    assert resolve_scalar(repr(number)) == number
