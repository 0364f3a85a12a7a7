"""When counts of instructions fail."""

from __future__ import annotations

import pytest
from benchmarks.instructions.__main__ import check
from benchmarks.instructions.baseline import Baseline, machine

COUNTS = {"decode": 100.0, "render": 50.0}
HERE = machine()
ELSEWHERE = HERE | {"numpy": "1.0"}


@pytest.fixture(autouse=True)
def outside_of_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def test_a_tenth_more_is_taken_and_anything_beyond_fails() -> None:
    assert check(COUNTS | {"decode": 110.0}, Baseline(HERE, COUNTS)) == 0
    assert check(COUNTS | {"decode": 110.1}, Baseline(HERE, COUNTS)) == 1


def test_what_is_only_in_one_of_the_two_fails() -> None:
    assert check(COUNTS, Baseline(HERE, {"decode": 100.0})) == 1
    assert check({"decode": 100.0}, Baseline(HERE, COUNTS)) == 1


def test_other_versions_are_reported_alone() -> None:
    assert check(COUNTS | {"decode": 900.0}, Baseline(ELSEWHERE, COUNTS)) == 0


def test_in_ci_other_versions_fail_and_it_says_how_to_renew_the_baseline(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", "true")
    assert check(COUNTS, Baseline(HERE, COUNTS)) == 0
    assert check(COUNTS, Baseline(ELSEWHERE, COUNTS)) == 1
    shown = capsys.readouterr()
    assert f"numpy {HERE['numpy']}, not 1.0" in shown.out
    assert "python -m benchmarks.instructions --write" in shown.err
