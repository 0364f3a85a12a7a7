"""`spanmill check` makes the configuration's own processors, and says what is wrong with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spanmill.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "spanmill.yaml"


def test_each_processor_is_listed_with_its_metrics(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(
        f"processors:\n  - {{name: tenants, file: {EXAMPLES}/tenants.py}}\n"
        f"  - {{name: apdex, file: {EXAMPLES}/apdex.py}}\n",
        encoding="utf-8",
    )
    assert main(["check", "spanmill.yaml"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "  processor tenants derives: tenant_requests_total",
        "  processor apdex derives: apdex_requests_total",
    ]


def test_all_that_is_wrong_is_told_with_its_line(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.py").write_text("import numpyy\n", encoding="utf-8")
    Path("ours.py").write_text(
        "class Ours:\n"
        "    def __init__(self, metrics):\n"
        '        metrics.counter("traces_spanmetrics_calls_total", "Calls.")\n'
        "    def observe(self, batch): ...\n",
        encoding="utf-8",
    )
    file.write_text(
        "processors:\n"
        "  - name: mine\n"
        "    file: mine.py\n"
        "  - name: ours\n"
        "    file: ours.py\n"
        "  - name: theirs\n"
        "    entry_point: theirs\n",
        encoding="utf-8",
    )
    assert main(["check", "spanmill.yaml"]) == 2
    mine, ours, theirs = capsys.readouterr().err.splitlines()
    assert mine == (
        "spanmill.yaml:3: processors[0].file: mine.py:1: ModuleNotFoundError: "
        "No module named 'numpyy'"
    )
    assert ours.startswith(
        "spanmill.yaml:5: processors[1].file: ours.py:3: the metric traces_spanmetrics_calls_total "
        "can't be shown beside traces_spanmetrics_calls_total"
    )
    assert theirs.startswith(
        "spanmill.yaml:7: processors[2].entry_point: no installed package offers the processor "
        "'theirs'"
    )


def test_a_start_with_a_broken_processor_ends_with_one_sentence(file: Path) -> None:
    file.write_text("processors: [{name: mine, file: mine.py}]\n", encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "spanmill.cli.main", "run", "--config", "spanmill.yaml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1] == (
        f"spanmill: processors[0] (mine): mine.py doesn't exist (seen from {Path.cwd()})"
    )
