from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from spanmill.cli.demo.ports import METRICS, PREFERRED, listen
from spanmill.cli.demo.shop import SERVICES

DEADLINE = 240.0  # for a whole run on a machine that is busy with something else
MARK = "SPANMILL_DEMO_TEST"


@pytest.fixture
def environ() -> dict[str, str]:
    """An environment that all processes of one run inherit, and can be found by."""
    return {**os.environ, MARK: uuid.uuid4().hex}


def processes_with(environ: dict[str, str]) -> list[str]:
    mark = f"{MARK}={environ[MARK]}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it ended meanwhile
    return found


def demo(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "spanmill.cli.main", "demo", *arguments]


def test_spans_of_every_service_are_counted_and_nothing_is_left(
    environ: dict[str, str], tmp_path: Path
) -> None:
    environ["TMPDIR"] = str(tmp_path)
    with ExitStack() as stack:
        with suppress(OSError):  # somebody else has taken it, and taken it shall be
            stack.enter_context(listen(PREFERRED[METRICS]))
        result = subprocess.run(
            demo("--for", "6"),
            env=environ,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
    shown = result.stdout
    assert (result.returncode, result.stderr) == (0, ""), shown
    assert processes_with(environ) == []
    assert list(tmp_path.iterdir()) == []
    assert "port 9464 is taken: the metrics page is on" in shown
    assert re.search(r"SERVICE +OPERATION +PER S +ERRORS +P50 +P95 +P99\n", shown)
    assert re.search(r"^storefront → catalog +\d", shown, re.MULTILINE)
    counted = {
        name: int(spans.replace(",", ""))
        for name, spans in re.findall(r"^  (\S+) +([\d,]+) spans", shown, re.MULTILINE)
    }
    assert {service.name for service in SERVICES} <= counted.keys(), shown
    assert min(counted.values()) > 0
    total = re.search(r"ended after \d+ s: ([\d,]+) spans counted", shown)
    assert total is not None, shown
    assert int(total[1].replace(",", "")) == sum(counted.values())


@pytest.fixture
def running(environ: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    environ["TMPDIR"] = str(tmp_path)
    process = subprocess.Popen(
        demo("--plain"), env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    yield process
    process.kill()
    process.wait(DEADLINE)
    assert process.stdout is not None
    process.stdout.close()


def test_its_processes_end_even_if_it_is_killed(
    running: subprocess.Popen[str],
    environ: dict[str, str],
    eventually: Callable[[Callable[[], object], str], None],
) -> None:
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("SERVICE"):
            break
    # Itself, the processor and the services.
    assert len(processes_with(environ)) == 2 + len(SERVICES)
    running.kill()
    running.wait(DEADLINE)
    eventually(lambda: processes_with(environ) == [], "all processes of the demo have ended")
