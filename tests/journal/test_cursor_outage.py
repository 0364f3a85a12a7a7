"""A destination that is away for a day, on real files and a clock that is moved."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from journal.outages import Site
from spanmill.errors import UnavailableError
from spanmill.journal.cursor import DiskCursor
from spanmill.journal.log import CursorSettings, ReadRecord, Signal

AWAY = CursorSettings("away", Signal.TRACES, 1 << 30)
THERE = CursorSettings("there", Signal.TRACES, 1 << 30)

REQUESTS_A_SECOND = int(os.environ.get("SPANMILL_OUTAGE_RATE", "1"))
DAY = 24 * 3600
SPANS = 3
MEASURED = 2000  # requests


def test_a_destination_that_was_away_for_a_day_catches_up_without_a_gap_or_a_double(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path, AWAY, THERE, segment_bytes=2 << 20, tail_bytes=20_000)
    away, there = site.cursors["away"], site.cursors["there"]
    got: list[int] = []
    unanswered = away.read(1, 0)  # it was sent when the connection went
    most_queued = 0
    requests = DAY * REQUESTS_A_SECOND
    before = 0
    for n in range(requests):
        if n == requests - MEASURED:
            tracemalloc.start()  # only now: it makes everything several times as slow
            before = tracemalloc.get_traced_memory()[0]
        site.submit(b"%08d" % n, SPANS)
        if n == 0:
            unanswered = away.read(1, 0)
        most_queued = max(most_queued, there.queued_items)
        deliver(there, there.read(1 << 20, 0))
        site.clock.advance(1 / REQUESTS_A_SECOND)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert most_queued == SPANS  # the other one was never kept waiting
    assert away.queued_items == requests * SPANS
    assert grown < MEASURED * 30  # no memory for each record that waits
    site.kill()
    site.open()
    away = site.cursors["away"]
    assert away.queued_items == requests * SPANS
    while records := away.read(1 << 20, 0):
        got += [int(record.payload) for record in records]
        deliver(away, records)
    assert got == list(range(requests))
    assert [int(record.payload) for record in unanswered] == [0]  # that one went out twice
    assert away.outcomes == {"delivered": requests * SPANS}
    assert away.queued_items == sum(site.expired.values()) == 0
    site.close()


def test_what_was_delivered_everywhere_leaves_the_disk(tmp_path: Path) -> None:
    site = Site(tmp_path, AWAY, THERE, segment_bytes=64 << 10)
    for n in range(300):
        site.submit(b"%04d" % n * 250)
        deliver(site.cursors["there"], site.cursors["there"].read(1 << 20, 0))
    site.journal.checkpointed(299)
    site.upkeep()
    assert site.journal.stored.first == 0  # the other one needs it
    deliver(site.cursors["away"], site.cursors["away"].read(1 << 30, 0))
    site.upkeep()
    assert site.journal.stored.first > 200
    site.close()


def test_a_required_destination_makes_the_journal_refuse_until_it_catches_up(
    tmp_path: Path,
) -> None:
    required = CursorSettings("away", Signal.TRACES, 10_000, required=True)
    site = Site(tmp_path, required, THERE)
    for n in range(10):
        site.submit(b"%04d" % n * 250)
    with pytest.raises(UnavailableError, match="the required destination away lacks 10000 bytes"):
        site.submit(bytes(1000))
    site.clock.advance(30 * 24 * 3600)
    site.upkeep()
    away = site.cursors["away"]
    deliver(away, away.read(1000, 0))
    assert site.submit(bytes(1000)) == 10
    assert (site.expired["away"], away.queued_items) == (0, 10)
    site.close()


def test_what_is_too_old_expires(tmp_path: Path) -> None:
    site = Site(tmp_path, AWAY, segment_bytes=64 << 10)
    for n in range(300):
        site.submit(b"%04d" % n * 250)
        site.clock.advance(3600)
    site.upkeep()
    away = site.cursors["away"]
    # 48 hours, and what is in one file with them.
    assert 300 - 48 - 2 * 65 <= site.expired["away"] <= 300 - 48
    assert away.queued_items == 300 - site.expired["away"]
    site.close()


def test_a_backlog_beyond_its_bound_expires_and_the_rest_arrives(tmp_path: Path) -> None:
    small = CursorSettings("away", Signal.TRACES, 100_000)
    site = Site(tmp_path, small, THERE, segment_bytes=64 << 10, tail_bytes=10_000)
    for n in range(300):
        site.submit(b"%04d" % n * 250)
        if n % 50 == 0:
            site.upkeep()
    site.upkeep()
    away = site.cursors["away"]
    assert (site.expired["away"], away.queued_bytes) == (200, 100_000)
    site.kill()
    site.open()
    away = site.cursors["away"]
    assert away.outcomes == {"expired": 200}
    records = away.read(1 << 30, 0)
    assert [int(record.payload[:4]) for record in records] == list(range(200, 300))
    assert site.cursors["there"].queued_items == 300
    site.close()


def deliver(cursor: DiskCursor, records: list[ReadRecord]) -> None:
    cursor.acknowledge(records, {"delivered": sum(record.items for record in records)})
