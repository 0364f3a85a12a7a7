"""The disk: room for the journal, its age, the last checkpoint, and whether anything is refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from spanmill.cli.doctor.finding import Finding, fail, ok, warn
from spanmill.cli.doctor.samples import Samples
from spanmill.config.state import StateConfig

_MIB: Final = 1 << 20
_CHECKPOINTS_MISSED: Final = 5
_DOCS: Final = "see docs/durability.md"


def check_disk(samples: Samples, state: StateConfig, base: Path, now: float) -> Iterator[Finding]:
    """What stands in the state directory, as this machine sees it.

    A relative directory is one of `base`, where the process was started. `now` is seconds since
    the epoch.
    """
    if state.durability == "memory":
        yield ok("state", "durability: memory keeps nothing on disk")
        return
    directory = base / state.directory
    if not directory.is_dir():
        yield warn(
            "state",
            f"{directory} is not there",
            "call the doctor on the same machine and in the same folder as the process",
        )
        return
    journal = _bytes(directory / "journal")
    free = shutil.disk_usage(directory).free
    yield _room(free, journal, state)
    yield from _age(samples, journal, state)
    yield _checkpoint(directory / "checkpoints", state, now)


def check_refusals(before: Samples, now: Samples) -> Iterator[Finding]:
    """Whether requests were refused between two scrapes, and how many ever were."""
    requests = "spanmill_receiver_requests_total"
    refused = now.sum(requests, outcome="refused")
    lately = refused - before.sum(requests, outcome="refused")
    taken = now.sum(requests) - refused
    if lately > 0:
        yield fail(
            "load",
            f"{lately:.0f} requests were refused in the last seconds",
            "the log says why: a full disk, a required destination that is away, or too much load",
        )
    else:
        yield ok("load", f"{taken:,.0f} requests taken, {refused:,.0f} refused, none of them now")


def _room(free: int, journal: int, state: StateConfig) -> Finding:
    text = (
        f"the journal has {journal / _MIB:,.0f} MiB of at most {state.max_bytes / _MIB:,.0f}, "
        f"{free / _MIB:,.0f} MiB are free"
    )
    if free < 2 * state.segment_bytes:
        return fail("disk", text, "make room: when the disk is full, requests are refused")
    if free + journal < state.max_bytes:
        return warn("disk", text, "make room, or lower state.max_bytes to what the disk has for it")
    return ok("disk", text)


def _age(samples: Samples, journal: int, state: StateConfig) -> Iterator[Finding]:
    oldest = samples.value("spanmill_journal_oldest_seconds")
    if oldest is None:
        return
    text = f"the oldest record that something still needs is {oldest:,.0f} s old"
    if oldest > state.max_age / 2 or journal > state.max_bytes / 2:
        mend = f"a destination is far behind: its backlog will expire, {_DOCS}"
        yield warn("journal", text, mend)
    else:
        yield ok("journal", text)


def _checkpoint(folder: Path, state: StateConfig, now: float) -> Finding:
    try:
        stamps = [entry.stat().st_mtime for entry in folder.glob("*.checkpoint")]
    except OSError:
        stamps = []
    if not stamps:
        return warn(
            "checkpoint",
            "there is none yet",
            f"one is made every {state.checkpoint_interval:g} s; if none comes, look into the log",
        )
    age = max(0.0, now - max(stamps))
    text = f"the last one is {age:,.0f} s old"
    if age > _CHECKPOINTS_MISSED * state.checkpoint_interval + _CHECKPOINTS_MISSED:
        return warn("checkpoint", text, f"the log says why; a start takes longer, {_DOCS}")
    return ok("checkpoint", text)


def _bytes(folder: Path) -> int:
    """What its files take on disk; files may go meanwhile."""
    total = 0
    try:
        for entry in folder.iterdir():
            total += entry.stat().st_blocks * 512
    except OSError:
        return total
    return total
