"""The busiest keep more spans in series of their own than whoever came first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from benchmarks.limits.shares import shares
from benchmarks.limits.streams import Stream

SMALL = Stream("", label_sets=4_000, spans_a_tick=1_000)


@pytest.mark.parametrize(
    ("stream", "margin"),
    [
        (replace(SMALL, name="steady"), 0.02),
        (replace(SMALL, name="drifting", changing=8), 0.10),
        (replace(SMALL, name="after a flood", flood=1_000, junk=0.05), 0.10),
    ],
    ids=lambda given: given.name if isinstance(given, Stream) else "",
)
def test_the_busiest_beat_first_come_first_served(stream: Stream, margin: float) -> None:
    found = shares(stream, limit=200, ticks=150, seed=1)
    assert found.busiest >= found.first_come + margin
    assert found.busiest >= found.possible - 0.15


def test_a_stream_is_the_same_for_the_same_seed() -> None:
    stream = Stream("x", label_sets=50, spans_a_tick=20, changing=3, flood=5, junk=0.1)
    one, other = ([tick.ids.tolist() for tick in stream.ticks(5, seed)] for seed in (1, 1))
    assert one == other
    assert len(one[0]) == 25
