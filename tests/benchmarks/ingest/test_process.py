from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from benchmarks.ingest.process import MeasuredProcess

from spanmill.errors import StartError

BURNT_SECONDS = 0.2
ALLOCATED_BYTES = 50_000_000

BUSY = f"""
import os, threading, time
print(sorted(os.sched_getaffinity(0)), os.environ["GIVEN"])
block = bytearray({ALLOCATED_BYTES})
del block
while time.process_time() < {BURNT_SECONDS}: pass
print("done", flush=True)
threading.Event().wait()
"""


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[MeasuredProcess]:
    """A process on one CPU that used some time and, for a moment, some memory."""
    cpu = max(os.sched_getaffinity(0))
    process = MeasuredProcess(
        [sys.executable, "-c", BUSY], tmp_path / "log", {cpu}, {"GIVEN": "value"}
    )
    yield process
    process.stop()


Eventually = Callable[[Callable[[], object], str], None]


def test_cpu_time_and_memory_are_those_of_the_process(
    busy: MeasuredProcess, eventually: Eventually
) -> None:
    eventually(lambda: "done" in busy.log_tail(), "the process has done its work")
    assert BURNT_SECONDS - 0.01 <= busy.cpu_seconds() < BURNT_SECONDS + 5
    assert 0 < busy.resident_bytes() < busy.peak_resident_bytes() - ALLOCATED_BYTES // 2
    assert busy.peak_resident_bytes() > ALLOCATED_BYTES


def test_a_process_runs_on_the_cpus_and_with_the_environment_given(
    busy: MeasuredProcess, eventually: Eventually
) -> None:
    before = os.sched_getaffinity(0)
    eventually(lambda: "done" in busy.log_tail(), "the process has done its work")
    assert busy.log_tail().startswith(f"[{max(before)}] value")


def test_starting_one_elsewhere_leaves_this_thread_where_it_was(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    MeasuredProcess([sys.executable, "-c", ""], tmp_path / "log", {max(before)}, {}).stop()
    assert os.sched_getaffinity(0) == before


def test_one_that_ends_instead_of_getting_ready_says_what_it_printed(tmp_path: Path) -> None:
    process = MeasuredProcess(
        [sys.executable, "-c", "raise SystemExit('no such key: spam')"],
        tmp_path / "log",
        os.sched_getaffinity(0),
        {},
    )
    with pytest.raises(StartError, match=r"exit code 1:\nno such key: spam"):
        process.wait_until_ready("http://127.0.0.1:1/")
