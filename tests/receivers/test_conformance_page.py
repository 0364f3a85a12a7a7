"""The page that maps promises and bad input to tests, against the tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "conformance.md").read_text(encoding="utf-8")
PROMISES, BAD_INPUT = PAGE.split("## Bad input")


@pytest.fixture(scope="module")
def functions() -> set[str]:
    """The names of all test functions."""
    return {
        node.name
        for file in TESTS.rglob("test_*.py")
        for node in ast.parse(file.read_bytes()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def rows(part: str) -> dict[int, str]:
    """The rows of a table by their numbers."""
    found = re.findall(r"^\| ([0-9]+) \|(.*)$", part, re.MULTILINE)
    return {int(number): row for number, row in found}


def named_in(text: str) -> set[str]:
    return set(re.findall(r"`(test_[a-z0-9_]+)`", text))


def test_every_test_that_the_page_names_exists(functions: set[str]) -> None:
    assert named_in(PAGE) - functions == set()


@pytest.mark.parametrize(("prefix", "part"), [("promise", PROMISES), ("bad_input", BAD_INPUT)])
def test_every_numbered_test_stands_in_the_rows_of_its_numbers(
    functions: set[str], prefix: str, part: str
) -> None:
    by_number = rows(part)
    for function in functions:
        match = re.match(rf"test_{prefix}((?:_[0-9]{{2}})+)_[a-z]", function)
        if match is not None:
            for number in map(int, match[1].strip("_").split("_")):
                assert f"`{function}`" in by_number.get(number, ""), function


@pytest.mark.parametrize(
    ("prefix", "part", "count"), [("promise", PROMISES, 25), ("bad_input", BAD_INPUT, 42)]
)
def test_every_number_has_a_row_with_a_test_of_its_name(prefix: str, part: str, count: int) -> None:
    by_number = rows(part)
    assert sorted(by_number) == list(range(1, count + 1))
    for number, row in by_number.items():
        own = rf"test_{prefix}_(?:[0-9]{{2}}_)*{number:02}_[a-z]"
        assert any(re.match(own, name) for name in named_in(row)), number
