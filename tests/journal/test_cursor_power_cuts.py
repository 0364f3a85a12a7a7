"""A cursor's file on a file system that forgets what was not synced."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from journal.entries import nothing_expires
from journal.followed import Followed, positions, traces
from journal.modelled_files import ModelledFiles, PowerCut
from spanmill.journal.cursor import DiskCursor

FOLDER = Path("/state/cursors")

steps = st.lists(
    st.tuples(st.sampled_from(["append", "read", "answer", "sync"]), st.integers(1, 4)),
    max_size=25,
)


@given(steps, st.integers(0, 60), st.integers(0, 1 << 32))
def test_a_power_cut_loses_no_record_and_no_more_answers_than_came_since_the_sync(
    steps: list[tuple[str, int]], cut_after: int, seed: int
) -> None:
    files = ModelledFiles()
    followed = Followed(FOLDER, files=files)
    cursor = followed.cursor(traces(), nothing_expires)
    files.cut_at = files.operations + cut_after
    answered: set[int] = set()
    with contextlib.suppress(PowerCut):
        _work(followed, cursor, steps, answered)
    needed_from = cursor.needs_from  # what lies below may have left the disk
    assert answered >= set(range(needed_from))
    after = Followed(FOLDER, files=files.power_cut(random.Random(seed).randrange))
    after.stored = followed.stored
    cursor = after.cursor(traces(), nothing_expires)
    assert cursor.resumed
    again = positions(cursor.read(1 << 20, 0) + cursor.read(1 << 20, 0) + cursor.read(1 << 20, 0))
    while more := cursor.read(1 << 20, 0):
        again += positions(more)
    assert again == sorted(set(again))
    assert all(position >= needed_from for position in again)
    assert set(again) >= set(range(followed.stored.end)) - answered
    assert cursor.outcomes.total() + cursor.queued_items == followed.stored.end


def _work(
    followed: Followed, cursor: DiskCursor, steps: list[tuple[str, int]], answered: set[int]
) -> None:
    in_hand = []
    for step, amount in steps:
        if step == "append":
            for _ in range(amount):
                followed.append(b"x")
        elif step == "read":
            in_hand += cursor.read(amount, 0)
        elif step == "answer":
            some, in_hand = in_hand[-amount:], in_hand[:-amount]
            answered |= {record.position for record in some}  # it has them, whatever follows
            cursor.acknowledge(some, {"delivered": len(some)})
        else:
            cursor.sync()
