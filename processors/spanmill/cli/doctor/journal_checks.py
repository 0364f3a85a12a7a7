"""The journal and what it takes in, from spanmill's own metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spanmill.cli.doctor.finding import Finding, fail, ok, warn
from spanmill.cli.doctor.samples import Samples
from spanmill.config.state import StateConfig

_MIB: Final = 1 << 20
_CHECKPOINTS_MISSED: Final = 5
_MEMORY_SHARE: Final = 0.9
_DOCS: Final = "see docs/durability.md"


def check_load(before: Samples, now: Samples) -> Iterator[Finding]:
    """Whether requests were refused between two scrapes, and how much memory is left for them."""
    requests = "spanmill_receiver_requests_total"
    refused = now.sum(requests, outcome="refused")
    lately = refused - before.sum(requests, outcome="refused")
    taken = now.sum(requests) - refused
    if lately > 0:
        yield fail(
            "load",
            f"{lately:.0f} requests were refused in the last seconds",
            "the answers and the log say why: a full disk, a required destination that is away, "
            "too much at once, or requests that are no OTLP",
        )
    else:
        yield ok("load", f"{taken:,.0f} requests taken, {refused:,.0f} refused, none of them now")
    budget = now.value("spanmill_receiver_memory_budget_bytes")
    held = now.value("spanmill_receiver_in_flight_bytes")
    if budget and held is not None and held > _MEMORY_SHARE * budget:
        yield warn(
            "memory for requests",
            f"{held / _MIB:,.0f} of {budget / _MIB:,.0f} MiB are in use",
            "clients send more at once than fits: more is refused until some are answered",
        )


def check_journal(samples: Samples, state: StateConfig, now: float) -> Iterator[Finding]:
    """Whether it takes records, what it holds, what was damaged, and the newest checkpoint.

    `now` is in Unix seconds.
    """
    size = samples.value("spanmill_journal_bytes")
    if size is None:
        return  # durability: memory
    if samples.value("spanmill_journal_refusing"):
        yield fail("journal", "takes nothing now", f"the log says why; {_DOCS}")
    else:
        yield _held(size, samples.value("spanmill_journal_oldest_seconds") or 0.0, state)
    damaged = samples.sum("spanmill_journal_damaged_records_total")
    if damaged:
        yield warn(
            "damage",
            f"{damaged:,.0f} records of the journal could not be read since the start",
            "the log names segment and offset: see to the disk",
        )
    yield from _checkpoint(samples, state, now)


def _held(size: float, oldest: float, state: StateConfig) -> Finding:
    text = f"{size / _MIB:,.0f} MiB, the oldest record is {oldest:,.0f} s old"
    if oldest > state.max_age / 2 or size > state.max_bytes / 2:
        mend = f"a destination is far behind, and its backlog may expire: {_DOCS}"
        return warn("journal", text, mend)
    return ok("journal", text)


def _checkpoint(samples: Samples, state: StateConfig, now: float) -> Iterator[Finding]:
    """The age of the newest, once the process has run for long enough to write one itself.

    Before that an old one tells no more than how long the process was away.
    """
    age = samples.value("spanmill_checkpoint_age_seconds")
    mend = f"the log says why none is written; a start reads all records since then, {_DOCS}"
    if age is None:
        if samples.value("spanmill_journal_oldest_seconds"):
            yield warn("checkpoint", "there is none, and the journal holds records", mend)
        return
    text = f"the newest is {age:,.0f} s old"
    started = samples.value("process_start_time_seconds")
    runs = age if started is None else now - started
    if min(age, runs) > _CHECKPOINTS_MISSED * state.checkpoint_interval + _CHECKPOINTS_MISSED:
        yield warn("checkpoint", text, mend)
    else:
        yield ok("checkpoint", text)
