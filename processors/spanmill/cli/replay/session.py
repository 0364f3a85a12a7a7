"""Passes through a recording, until enough of them are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Final

from spanmill.cli.replay.pace import Pace
from spanmill.cli.replay.progress import Progress
from spanmill.cli.replay.recording import Recording
from spanmill.cli.replay.transmission import Transmission
from spanmill.clock import Clock
from spanmill.spans.rewrite import IdMask

_LARGEST_PACED_BATCH: Final = 512
_PACED_BATCHES_A_SECOND: Final = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send: spans a second (None for all at once), passes (0 for ever), batch size.

    Without a batch size requests go as they were recorded; with a rate they hold a tenth of a
    second's spans, at most 512, so that the pace is steady.
    """

    rate: float | None
    passes: int
    batch_size: int | None

    @property
    def request_spans(self) -> int | None:
        """Spans of one request, or None for those of the recording."""
        if self.batch_size is not None or self.rate is None:
            return self.batch_size
        return min(max(round(self.rate / _PACED_BATCHES_A_SECOND), 1), _LARGEST_PACED_BATCH)

    def pass_numbers(self) -> Iterator[int]:
        """The numbers of the passes, from 1."""
        return iter(range(1, self.passes + 1)) if self.passes else count(1)


def replay(
    recording: Recording,
    plan: Plan,
    transmission: Transmission,
    progress: Progress,
    *,
    clock: Clock,
    sleep: Callable[[float], None],
    rng: Random,
) -> None:
    """Send the recording as often as planned, every pass as of now and with ids of its own."""
    pace = Pace(plan.rate, clock, sleep)
    for number in plan.pass_numbers():
        progress.begin_pass(number)
        requests = recording.replayed(clock.time_ns(), IdMask.drawn(rng), plan.request_spans)
        for payload, spans in requests:
            pace.wait(spans)
            transmission.send(payload, spans)
            progress.update()
