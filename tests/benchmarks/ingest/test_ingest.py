from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.ingest.load import Sending
from benchmarks.ingest.plan import Plan
from benchmarks.ingest.targets import Collector, Spanmill, Target

from components.binaries import component
from spanmill.clock import SystemClock

SPANS = 4096
PASSES = 2  # one to warm up, one that is measured

pytestmark = pytest.mark.components


def collector() -> Target:
    return Collector(component("otelcol"))


@pytest.mark.parametrize("make_target", [collector, Spanmill])
def test_every_span_sent_is_acknowledged_counted_and_delivered(
    make_target: Callable[[], Target], astronomy_file: Path
) -> None:
    target = make_target()
    plan = Plan(
        targets=[target],
        batches=[512],
        forward=[False, True],
        rounds=1,
        passes=1,
        in_flight=4,
        ways=[Sending("HTTP", gzip=True), Sending(connections=2, gzip=True)],
        label_sets=[None],
        recording=astronomy_file,
        spans=SPANS,
    )
    rows = plan.run(SystemClock(), random.Random(), lambda _line: None)

    for row in rows:
        (measurement,) = row.rounds
        assert measurement.books.failures == ()
        assert measurement.books.sent == PASSES * SPANS
        assert measurement.books.acknowledged == PASSES * SPANS
        assert measurement.books.counted == dict.fromkeys(target.calls, PASSES * SPANS)
        assert row.void() is None
    derived, *forwarded = rows
    assert derived.rounds[0].books.delivered is None
    for row in forwarded:
        delivered = row.rounds[0].books.delivered
        assert delivered is not None
        assert (delivered.spans, delivered.distinct) == (PASSES * SPANS, PASSES * SPANS)
