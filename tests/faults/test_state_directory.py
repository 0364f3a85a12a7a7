"""What a start does with a state directory that is not as it was left: a process, from outside."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faults.disk import NoDiskError, fill, small_disk
from faults.experiment import Experiment, Verdict
from faults.process import ProcessUnderTest, wait_until

EXIT_UNUSABLE = 2
END_SECONDS = 20.0
START_SECONDS = 20.0
MANY_SPANS = 4000


def state_in(folder: Path, **more: object) -> dict[str, Any]:
    return {"directory": str(folder / "state"), "segment_bytes": "256KiB", **more}


@pytest.fixture
def left(tmp_path: Path) -> Iterator[Experiment]:
    """One that has taken some segments of spans for a destination that is away, and is killed."""
    # No checkpoint, so that a start reads every record.
    state = state_in(tmp_path, checkpoint_interval="1h")
    with Experiment(tmp_path, 1, state) as experiment:
        experiment.sink.away = True
        experiment.start()
        journal = tmp_path / "state" / "journal"
        wait_until(lambda: len(segments(journal)) > 4, 60.0, "there are some segments")
        tally = experiment.clients.tally
        assert experiment.clients.finish(END_SECONDS), "everything is acknowledged"
        assert tally.acknowledged_spans == experiment.numbers.given
        experiment.watch.stop()
        experiment.process.kill()
        yield experiment


def segments(journal: Path) -> list[Path]:
    return sorted(journal.glob("*.seg*"))


def refused_start(process: ProcessUnderTest) -> str:
    """The only line of a process that ends at once."""
    process.spawn()
    code = process.wait(END_SECONDS)
    lines = [line["msg"] for line in process.lines() if line["level"] == "plain"]
    assert code == EXIT_UNUSABLE, process.log_tail()
    assert len(lines) == 1, lines
    assert lines[0].startswith("spanmill: ")
    return str(lines[0])


def restarted(experiment: Experiment) -> list[dict[str, Any]]:
    """Start it with its destination back; what it logged until it was ready."""
    experiment.sink.away = False
    experiment.spawn()
    experiment.process.wait_until_ready()
    return experiment.process.lines()


def alarms(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["level"] in {"error", "plain"}]


def test_bad_input_42_a_directory_that_another_process_holds_is_refused(tmp_path: Path) -> None:
    first = ProcessUnderTest(made(tmp_path / "a"), {"state": state_in(tmp_path)})
    second = ProcessUnderTest(made(tmp_path / "b"), {"state": state_in(tmp_path)})
    first.start()
    try:
        line = refused_start(second)
        assert str(first.pid) in line
        assert first.ready()
    finally:
        first.kill()
    second.start()  # a process that was killed holds nothing
    second.kill()


def test_bad_input_42_a_newer_format_is_refused(tmp_path: Path) -> None:
    process = ProcessUnderTest(tmp_path, {"state": state_in(tmp_path)})
    process.start()
    process.send(signal.SIGTERM)
    assert process.wait(END_SECONDS) == 0
    file = tmp_path / "state" / "format"
    written = json.loads(file.read_text())
    file.write_text(json.dumps({**written, "format": 99}))
    line = refused_start(process)
    assert "99" in line
    file.write_text(json.dumps(written))
    process.start()
    process.kill()


def test_bad_input_42_a_directory_without_rights_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        folder = made(tmp_path / "disk")
        folder.chmod(0o500)
        told = refused_start(ProcessUnderTest(tmp_path, {"state": state_in(folder)}))
        folder.chmod(0o700)
    else:  # to whom rights are nothing
        try:
            with small_disk(tmp_path, options=",ro") as disk:
                told = refused_start(ProcessUnderTest(tmp_path, {"state": state_in(disk)}))
        except NoDiskError as error:
            pytest.skip(str(error))
    assert str(tmp_path / "disk") in told


def test_bad_input_42_a_full_disk_at_the_start_is_told_or_refuses_requests(tmp_path: Path) -> None:
    try:
        with small_disk(tmp_path, 8 << 20) as disk:
            ballast = fill(disk, 0)
            process = ProcessUnderTest(tmp_path, {"state": state_in(disk, max_bytes="4MiB")})
            process.spawn()
            wait_until(
                lambda: not process.alive or process.ready(), START_SECONDS, "it says something"
            )
            if not process.alive:
                line = refused_start(process)
                assert "space" in line.lower()
            process.kill()
            ballast.unlink()
            process.start()
            process.kill()
    except NoDiskError as error:
        pytest.skip(str(error))


def test_a_killed_process_leaves_everything_for_the_next(left: Experiment) -> None:
    lines = restarted(left)
    assert alarms(lines) == []
    assert concluded(left).faults == []


def test_bad_input_42_a_flipped_bit_costs_one_record_and_is_told(
    left: Experiment, tmp_path: Path
) -> None:
    segment = segments(tmp_path / "state" / "journal")[1]
    content = bytearray(segment.read_bytes())
    position = random.Random(1).randrange(len(content) // 4, len(content) // 2)
    content[position] ^= 0x10
    segment.write_bytes(content)
    lines = restarted(left)
    told = [json.dumps(line) for line in alarms(lines)]
    assert any(segment.name in line and "offset" in line for line in told), told
    wait_until(lambda: left.sink.spans >= left.numbers.given - 200, END_SECONDS, "the rest came")
    wait_until(lambda: no_queue(left), END_SECONDS, "nothing waits any more")
    missing = left.sink.missing(left.numbers.given)
    # A client's batch has at most 200 spans.
    assert 0 < len(missing) <= 200
    scrape = left.watch.scrape()
    assert scrape is not None
    accepted = scrape.sum("spanmill_spans_received_total", 'outcome="accepted"')
    assert accepted == left.numbers.given - len(missing)


def test_bad_input_42_a_segment_that_is_missing_costs_its_records_and_is_told(
    left: Experiment, tmp_path: Path
) -> None:
    segments(tmp_path / "state" / "journal")[1].unlink()
    lines = restarted(left)
    assert any("missing" in line["msg"] for line in alarms(lines)), lines
    wait_until(lambda: no_queue(left), END_SECONDS, "nothing waits any more")
    missing = left.sink.missing(left.numbers.given)
    assert 0 < len(missing) < left.numbers.given / 2


def test_a_damaged_checkpoint_is_set_aside_and_rebuilt(tmp_path: Path) -> None:
    with Experiment(tmp_path, 1, state_in(tmp_path, checkpoint_interval="200ms")) as experiment:
        experiment.start()
        folder = tmp_path / "state" / "checkpoints"
        tally = experiment.clients.tally
        wait_until(lambda: tally.acknowledged_spans > MANY_SPANS, 60.0, "spans came")
        experiment.process.kill()
        newest = max(folder.glob("*.checkpoint"))
        content = bytearray(newest.read_bytes())
        content[len(content) // 2] ^= 1
        newest.write_bytes(content)
        experiment.spawn()
        experiment.process.wait_until_ready()
        lines = experiment.process.lines()
        verdict = experiment.conclude()
    assert any(newest.name in json.dumps(line) for line in lines if line["level"] == "warning")
    assert verdict.faults == []


def test_an_empty_directory_begins_anew(tmp_path: Path) -> None:
    with Experiment(tmp_path, 1, state_in(tmp_path)) as experiment:
        (tmp_path / "state").mkdir()
        experiment.start()
        tally = experiment.clients.tally
        wait_until(lambda: tally.acknowledged_spans > 100, 60.0, "spans came")
        assert experiment.conclude().faults == []


def test_another_directory_can_be_taken_when_this_one_is_lost(left: Experiment) -> None:
    shutil.rmtree(left.process.log.parent / "state")
    assert alarms(restarted(left)) == []


def concluded(experiment: Experiment) -> Verdict:
    """Judged once more; the clients have ended already, and nobody watches."""
    return experiment.conclude(END_SECONDS)


def no_queue(experiment: Experiment) -> bool:
    scrape = experiment.watch.scrape()
    return scrape is not None and not scrape.sum("spanmill_export_queued_spans")


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder
