"""The short forms of the fault runs: docs/faults.md has the long ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from faults.clients import Manners
from faults.clock_shift import ClockShift, NoCompilerError
from faults.disk import NoDiskError, full_disk
from faults.experiment import Experiment, Verdict
from faults.kill import kills
from faults.pauses import clock_steps, halted
from faults.process import wait_until
from waiting import Eventually

KILLS = 4
SEED = 1


def assert_well(verdict: Verdict) -> None:
    assert verdict.faults == []
    assert verdict.acknowledged_spans > 0
    assert verdict.scrapes > 0


def test_nothing_acknowledged_is_lost_or_counted_twice_over_kills(tmp_path: Path) -> None:
    report = kills(KILLS, SEED, folder=tmp_path)
    assert_well(report.verdict)
    assert report.kills.total() == KILLS
    assert report.verdict.duplicates_recognised > 0


def test_a_journal_in_memory_shows_that_the_judgement_can_fail(tmp_path: Path) -> None:
    """What is lost there by design must not escape the judge."""
    with Experiment(tmp_path, SEED, {"durability": "memory"}) as experiment:
        experiment.start()
        experiment.sink.away = True
        tally = experiment.clients.tally
        wait_until(lambda: tally.acknowledged_spans > 100, 20.0, "spans are acknowledged")
        experiment.process.kill()
        experiment.sink.away = False
        experiment.spawn()
        experiment.process.wait_until_ready()
        faults = " ".join(experiment.conclude(5.0).faults)
    assert "never came" in faults
    assert "counted wrong" in faults
    assert "acknowledged" in faults


def test_bad_input_42_a_full_disk_refuses_and_goes_on_by_itself() -> None:
    try:
        report = full_disk(2, SEED)
    except NoDiskError as error:
        pytest.skip(str(error))
    assert_well(report.verdict)
    assert report.rounds_with_refusals > 0


def test_a_process_that_was_halted_goes_on(tmp_path: Path) -> None:
    assert_well(halted(3.0, SEED))


def test_a_clock_that_is_set_by_an_hour_changes_no_count() -> None:
    try:
        verdict = clock_steps(SEED)
    except NoCompilerError as error:
        pytest.skip(str(error))
    assert_well(verdict)


def test_the_shifted_clock_is_seen_by_a_process(tmp_path: Path, eventually: Eventually) -> None:
    """Or the test above would show nothing."""
    try:
        shift = ClockShift(tmp_path)
    except NoCompilerError as error:
        pytest.skip(str(error))
    code = "import time; print(time.time_ns() // 10**9, int(time.time()), int(time.monotonic()))"

    def clocks() -> list[int]:
        printed = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **shift.environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return [int(word) for word in printed.stdout.split()]

    before = clocks()
    shift.set(-3600)
    after = clocks()
    assert [round((b - a) / 60) for a, b in zip(before, after, strict=True)] == [-60, -60, 0]


def test_many_clients_at_once_are_all_counted(tmp_path: Path) -> None:
    state = {"durability": "synced", "directory": str(tmp_path / "state")}
    manners = Manners(clients=16, spans=(1, 20), pause=0.005, hasty=0.3, forgetful=0.3)
    with Experiment(tmp_path, SEED, state, manners) as experiment:
        experiment.start()
        tally = experiment.clients.tally
        wait_until(lambda: tally.acknowledged_batches > 500, 60.0, "requests are acknowledged")
        assert_well(experiment.conclude())
