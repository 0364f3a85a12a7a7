from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.config.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MiB", 64 * 1024 * 1024),
        ("20MB", 20_000_000),
        ("4 KiB", 4096),
        ("1GiB", 1 << 30),
        ("1GB", 10**9),
        ("3kB", 3000),
        ("3KB", 3000),
        ("12B", 12),
        ("12", 12),
        ("1.5KiB", 1536),
        ("0", 0),
    ],
)
def test_a_size_is_read_exactly(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "MiB", "64mib", "64M", "64Mi", "5XB", "-1", "1e6", "4 ", "1,5MB"]
)
def test_what_is_no_size_is_refused_with_the_units(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no size: write a number with B, kB, .* 64MiB"):
        parse_size(text)


@pytest.mark.parametrize("text", ["0.5B", "1.5", "0.0001KiB"])
def test_a_part_of_a_byte_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no whole number of bytes"):
        parse_size(text)


def test_a_size_that_no_machine_has_is_refused() -> None:
    with pytest.raises(ValueError, match="more than any machine holds"):
        parse_size("9999999999999999999GiB")


@given(st.integers(0, 2**62))
def test_reading_undoes_writing(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.text(alphabet="0123456789.KkMGiB -", max_size=24))
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    try:
        size = parse_size(text)
    except ValueError:
        return
    assert size >= 0


def test_the_shortest_form_is_written() -> None:
    assert [format_size(size) for size in (0, 1000, 1024, 20_000_000, 64 << 20, 1023)] == [
        "0B",
        "1kB",
        "1KiB",
        "20MB",
        "64MiB",
        "1023B",
    ]
