"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spanmill.cli.main import main


def spanmill(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "spanmill.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_version_names_the_decoder_and_the_interpreter() -> None:
    shown = spanmill("--version")
    assert shown.returncode == 0
    assert shown.stdout.startswith("spanmill ")
    assert " decoder, " in shown.stdout
    assert f"Python {sys.version.split()[0]}" in shown.stdout


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(f"    {name} " in text for name in ("run", "demo", "replay", "check", "config"))


@pytest.mark.parametrize("arguments", [[], ["bogus"], ["run", "--bogus"]])
def test_a_wrong_command_line_is_told_and_exits_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: spanmill" in capsys.readouterr().err


def test_a_wrong_configuration_is_told_line_by_line_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("span_metrics: {max_series: 0}\nlogs: {}\n")
    assert main(["run", "--config", str(file)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{file}:1: span_metrics.max_series: ")
    assert second.startswith(f"{file}:2: logs: unknown key")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m spanmill.cli.main config reference"
    shown = subprocess.run(
        f"{command} | head -n 1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.stdout.splitlines()[-1] == "0"
    assert shown.stderr == ""
