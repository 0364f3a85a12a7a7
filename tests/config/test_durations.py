from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.config.durations import format_duration, parse_duration

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("15m", 900 * SECOND),
        ("500ms", SECOND // 2),
        ("1h30m", 5400 * SECOND),
        ("2s", 2 * SECOND),
        ("1d", 86_400 * SECOND),
        ("1.5h", 5400 * SECOND),
        ("1m0.25s", 60 * SECOND + SECOND // 4),
        ("2us", 2000),
        ("2µs", 2000),
        ("2μs", 2000),
        ("7ns", 7),
        ("0s", 0),
    ],
)
def test_a_duration_is_read_exactly(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


def test_a_fraction_does_not_pass_through_floating_point() -> None:
    assert parse_duration("0.000000003s") == 3
    assert parse_duration("9007199.254740993s") == 9_007_199_254_740_993


@pytest.mark.parametrize(
    "text",
    ["", " ", "s", "1 s", "1s ", "-1s", "1S", "1y", "1s1s", "30m1h", "1ms1s", "1,5s", "\u0661s"],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration: .* such as 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0", "10", "1.5", "-3"])
def test_a_bare_number_is_refused_with_the_hint_to_add_a_unit(text: str) -> None:
    with pytest.raises(ValueError, match=f"{text} has no unit: write {text}s for seconds"):
        parse_duration(text)


def test_what_no_nanosecond_can_express_is_refused() -> None:
    with pytest.raises(ValueError, match="finer than a nanosecond"):
        parse_duration("0.5ns")


def test_a_lifetime_is_too_long() -> None:
    with pytest.raises(ValueError, match="longer than 100 years"):
        parse_duration("9999999999999999999h")


@given(st.integers(0, 100 * 365 * 86_400 * SECOND))
def test_reading_undoes_writing(nanoseconds: int) -> None:
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


@given(st.integers(0, 99), st.integers(0, 9999), st.integers(0, 9999), st.integers(0, 9999))
def test_parts_add_up(hours: int, minutes: int, seconds: int, milliseconds: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s{milliseconds}ms"
    total = ((hours * 60 + minutes) * 60 + seconds) * SECOND + milliseconds * 1_000_000
    assert parse_duration(text) == total


@given(st.text(alphabet="0123456789.dhmsunµ -+", max_size=24))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        nanoseconds = parse_duration(text)
    except ValueError:
        return
    assert nanoseconds >= 0
