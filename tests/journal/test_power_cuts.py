"""The journal's own code on a file system that forgets: nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import errno
import itertools
import random
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal.modelled_files import Dice, ModelledFiles, PowerCut, failing
from journal.power import History, journal_on, recovered_from
from spanmill.errors import StartError
from spanmill.journal.log import CursorSettings, Signal
from spanmill.testing import ManualClock

Work = Callable[[ModelledFiles, History], None]
EXHAUSTIVE_UP_TO = 128  # outcomes of one power cut; beyond it as many are drawn


def two_groups(files: ModelledFiles, history: History) -> None:
    journal = journal_on(files)
    journal.open()
    history.submit(journal, [300])
    history.submit(journal, [700, 40])


def over_the_end_of_a_segment(files: ModelledFiles, history: History) -> None:
    journal = journal_on(files)
    journal.open()
    assert journal.upkeep is not None
    for size in (2000, 1500, 900):
        history.submit(journal, [size])
        journal.upkeep.step()


def segments_used_again(files: ModelledFiles, history: History) -> None:
    """A segment's file comes back as the next one, with its old records behind the new."""
    journal = journal_on(files)
    journal.open()
    assert journal.upkeep is not None
    for size in (3000, 3000, 3000, 200):
        history.submit(journal, [size])
        journal.upkeep.step()
        # So far nobody needs what is there: it needn't be found again.
        if journal.stored.end <= 2:
            journal.checkpointed(journal.stored.end - 1)
            history.acknowledged.clear()
            journal.upkeep.step()


def closed_and_opened(files: ModelledFiles, history: History) -> None:
    journal = journal_on(files)
    journal.open()
    history.submit(journal, [100])
    journal.close()
    journal.release()
    files.locked = False
    journal = journal_on(files)
    journal.open()
    history.submit(journal, [100])


def compressed(files: ModelledFiles, history: History) -> None:
    clock = ManualClock()
    journal = journal_on(files, clock=clock)
    journal.cursor(CursorSettings("away", Signal.TRACES, 1 << 30), lambda _: None)
    journal.open()
    assert journal.upkeep is not None
    for _ in range(3):
        history.submit(journal, [2000])
    journal.upkeep.step()
    clock.advance(301.0)
    journal.compression.step()


WORKS = [compressed, two_groups, over_the_end_of_a_segment, segments_used_again, closed_and_opened]


class Enumerated:
    """Dice that give every sequence of throws once."""

    def __init__(self) -> None:
        self._throws: list[list[int]] = []
        self._at = 0

    def __call__(self, choices: int) -> int:
        if self._at == len(self._throws):
            self._throws.append([0, choices])
        self._at += 1
        return self._throws[self._at - 1][0]

    def advance(self) -> bool:
        """Go on to the next sequence; whether there is one."""
        while self._throws and self._throws[-1][0] + 1 >= self._throws[-1][1]:
            self._throws.pop()
        self._at = 0
        if not self._throws:
            return False
        self._throws[-1][0] += 1
        return True


def outcomes() -> Iterator[Dice]:
    """Every outcome of a power cut where there are few, and drawn ones where there are many."""
    enumerated = Enumerated()
    for _ in range(EXHAUSTIVE_UP_TO):
        yield enumerated
        if not enumerated.advance():
            return
    for seed in range(EXHAUSTIVE_UP_TO // 8):
        yield drawn(seed)
        yield drawn(seed, mostly_the_last=True)


def drawn(seed: int, *, mostly_the_last: bool = False) -> Dice:
    """Dice that throw anything, or mostly the highest: then nearly all that was done is kept."""
    source = random.Random(seed)

    def throw(choices: int) -> int:
        if mostly_the_last and source.random() < 0.9:
            return choices - 1
        return source.randrange(choices)

    return throw


def run_until_the_cut(work: Work, cut_at: int) -> tuple[ModelledFiles, History, bool]:
    files, history = ModelledFiles(), History()
    files.cut_at = cut_at
    try:
        work(files, history)
    except PowerCut:
        return files, history, True
    return files, history, False


def number_of_operations(work: Work) -> int:
    files = ModelledFiles()
    work(files, History())
    return files.operations


@pytest.mark.parametrize("work", WORKS, ids=lambda work: str(work.__name__))
def test_what_was_acknowledged_is_there_after_a_power_cut_at_any_operation(work: Work) -> None:
    for cut_at in range(number_of_operations(work) + 1):
        for dice in outcomes():
            files, history, _ = run_until_the_cut(work, cut_at)
            after = files.power_cut(dice)
            journal = journal_on(after)
            journal.open()
            history.check(recovered_from(journal))
            assert journal.damaged_records == 0, "a torn write is no damage"


@pytest.mark.parametrize("work", WORKS, ids=lambda work: str(work.__name__))
def test_a_recovery_can_be_cut_and_done_again(work: Work) -> None:
    dice = drawn(1)
    for cut_at in range(0, number_of_operations(work) + 1):
        for again_at in itertools.count():
            files, history, _ = run_until_the_cut(work, cut_at)
            again = files.power_cut(dice)
            again.cut_at = again_at
            try:
                journal = journal_on(again)
                journal.open()
                history.submit(journal, [50, 60])
                ended = True
            except PowerCut:
                ended = False
            last = again.power_cut(dice)
            journal = journal_on(last)
            journal.open()
            history.check(recovered_from(journal))
            assert journal.damaged_records == 0
            if ended:
                break


@pytest.mark.parametrize("work", WORKS, ids=lambda work: str(work.__name__))
def test_a_killed_process_loses_nothing_that_it_was_told_is_written(work: Work) -> None:
    for cut_at in range(number_of_operations(work) + 1):
        files, history, _ = run_until_the_cut(work, cut_at)
        journal = journal_on(files.killed())
        journal.open()
        history.check(recovered_from(journal))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("work", WORKS, ids=lambda work: str(work.__name__))
def test_any_operation_may_fail_and_the_journal_goes_on_by_itself(work: Work, code: int) -> None:
    for number in range(number_of_operations(work)):
        for seed in range(4):
            dice = drawn(seed)
            files, history = ModelledFiles(), History()
            files.dice = dice
            files.fails = failing(code, [number])
            # The start says so; the upkeep's thread logs it and tries again.
            with contextlib.suppress(StartError, OSError):
                work(files, history)
            after = files.power_cut(dice)
            journal = journal_on(after)
            journal.open()
            history.check(recovered_from(journal))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_refused_group_is_taken_once_the_disk_is_well_and_the_rest_stays(code: int) -> None:
    for number in itertools.count():
        clock = ManualClock()
        files, history = ModelledFiles(), History()
        journal = journal_on(files, clock=clock)
        journal.open()
        assert history.submit(journal, [500])
        before = files.operations
        files.fails = failing(code, range(before + number, before + number + 3))
        taken = [history.submit(journal, [500]) for _ in range(2)]
        files.fails = lambda number, name: None
        clock.advance(1.0)
        assert history.submit(journal, [500])
        assert journal.refusal is None
        clean = journal.stored.end
        records = recovered_from(journal)
        history.check(records)
        assert [record.position for record in records] == list(range(clean))
        assert len(records) == 2 + sum(taken), "what was refused is not there"
        if all(taken):
            break


def test_nothing_is_acknowledged_after_a_sync_that_failed_until_a_new_segment_was_begun() -> None:
    clock = ManualClock()
    files, history = ModelledFiles(), History()
    journal = journal_on(files, clock=clock)
    journal.open()
    assert history.submit(journal, [500])
    first = journal.stored.all()[-1]
    broken = True

    def fails(number: int, name: str) -> OSError | None:
        return OSError(errno.EIO, "input/output error") if broken and name == "sync" else None

    files.fails = fails
    files.dice = lambda choices: choices - 1  # it gets to the disk all the same
    assert not history.submit(journal, [500])
    assert journal.refusal is not None
    assert "input/output error" in journal.refusal
    assert not history.submit(journal, [500])
    broken = False
    assert not history.submit(journal, [500]), "it waits a second"
    clock.advance(1.0)
    assert history.submit(journal, [500])
    assert journal.stored.all()[-1] is not first
    assert journal.stored.all()[-1].first == first.end == 1
    after = journal_on(files.power_cut(lambda choices: choices - 1))
    after.open()
    records = recovered_from(after)
    assert [record.payload for record in records] == history.acknowledged


def test_what_a_start_shows_after_a_sync_that_failed_is_on_disk_from_then_on() -> None:
    files, history = ModelledFiles(), History()
    journal = journal_on(files)
    journal.open()
    assert history.submit(journal, [500])
    files.fails = lambda number, name: (
        OSError(errno.EIO, "input/output error") if name == "sync" else None
    )
    assert not history.submit(journal, [500])
    files.fails = lambda number, name: None
    journal = journal_on(files.killed())
    journal.open()
    shown = [record.payload for record in recovered_from(journal)]
    assert len(shown) == 2, "the system still has in memory what it could not write"
    journal = journal_on(files.power_cut(lambda choices: 0))
    journal.open()
    assert [record.payload for record in recovered_from(journal)] == shown
    assert journal.damaged_records == 0


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.lists(st.integers(8, 3000), min_size=1, max_size=4),
            st.sampled_from(["upkeep", "cut", "kill", "close", "fail"]),
        ),
        max_size=25,
    ),
    seed=st.integers(0, 1 << 32),
)
def test_long_histories_of_cuts_kills_and_failures_lose_nothing(
    steps: Sequence[list[int] | str], seed: int
) -> None:
    dice = drawn(seed)
    files, history, clock = ModelledFiles(), History(), ManualClock()
    journal = journal_on(files, clock=clock)
    journal.open()
    for step in [*steps, "cut"]:
        clock.advance(1.0)
        files.dice = dice
        if isinstance(step, list):
            history.submit(journal, step)
            continue
        if step == "upkeep":
            assert journal.upkeep is not None
            journal.upkeep.step()
            continue
        if step == "fail":
            at = files.operations + dice(6)
            files.fails = failing([errno.ENOSPC, errno.EIO][dice(2)], [at])
            history.submit(journal, [8 + dice(3000)])
            files.fails = lambda number, name: None
            continue
        if step == "close":
            journal.close()
        files = files.power_cut(dice) if step == "cut" else files.killed()
        journal = journal_on(files, clock=clock)
        journal.open()
        records = recovered_from(journal)
        history.check(records)
        assert journal.damaged_records == 0
        # What was seen once was counted: it must not go any more, acknowledged or not.
        history.acknowledged = [record.payload for record in records if record.payload is not None]
