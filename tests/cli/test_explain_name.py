from __future__ import annotations

from pathlib import Path

import pytest

from spanmill.cli.main import main


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["explain-name", *arguments]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return output.out.splitlines()


def test_the_label_comes_first_then_each_rule_that_met(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert explained(capsys, "GET /users/42?page=1") == [
        "GET /users/{id}?{query}",
        "  query: GET /users/42?page=1 → GET /users/42?{query}",
        "  number: GET /users/42?{query} → GET /users/{id}?{query}",
    ]


def test_a_name_that_no_rule_meets_is_said_to_be_its_own_label(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert explained(capsys, "GET /users/{id}") == [
        "GET /users/{id}",
        "  no rule met: the name is its own label",
    ]


def test_a_step_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert explained(capsys, "SELECT a\nFROM b WHERE c = 1") == [
        "SELECT a FROM b WHERE c = ?",
        "  sql: SELECT a\\nFROM b WHERE c = 1 → SELECT a FROM b WHERE c = ?",
    ]


def test_the_rules_of_a_configuration_are_tried_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "spanmill.yaml"
    file.write_text(
        """\
span_metrics:
  name_rules:
    - {pattern: 'tenant-[a-z]+', replacement: 'tenant-{tenant}'}
"""
    )
    assert explained(capsys, "GET /tenant-acme/7", "--config", str(file)) == [
        "GET /tenant-{tenant}/{id}",
        "  name_rules[0] tenant-[a-z]+: GET /tenant-acme/7 → GET /tenant-{tenant}/7",
        "  number: GET /tenant-{tenant}/7 → GET /tenant-{tenant}/{id}",
    ]


def test_a_configuration_that_switches_normalisation_off_is_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "spanmill.yaml"
    file.write_text("span_metrics: {normalize_span_names: false}\n")
    assert explained(capsys, "GET /users/42", "--config", str(file)) == [
        "GET /users/42",
        "  span_metrics.normalize_span_names is false: names are only cut to length",
        "  no rule met: the name is its own label",
    ]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("{pattern: '(', replacement: x}", "name_rules[0].pattern: '(' is no regular expression: "),
        ("{pattern: 'a*', replacement: x}", "name_rules[0].pattern: 'a*' matches the empty text"),
        (
            "{pattern: '(a)', replacement: '\\2'}",
            "name_rules[0]: replacement '\\\\2' does not fit the pattern: invalid group",
        ),
        ("{pattern: a}", "name_rules[0].replacement: is required"),
    ],
)
def test_a_rule_that_can_not_be_used_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rule: str, problem: str
) -> None:
    file = tmp_path / "spanmill.yaml"
    file.write_text(f"span_metrics:\n  name_rules:\n    - {rule}\n")
    assert main(["explain-name", "GET", "--config", str(file)]) == 2
    assert capsys.readouterr().err.startswith(f"{file}:3: span_metrics.{problem}")
