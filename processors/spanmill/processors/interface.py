"""What a processor is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from spanmill.journal.state import State
from spanmill.spans.batch import SpanBatch


class Processor(Protocol):
    """Derives metrics from batches of spans.

    The built-in ones and an author's own have this in common; a class that derives from this one
    inherits a tick that does nothing. A processor owns no series: it declares its metrics when it
    is made, and adds to them in bulk. Its clock is the arrival time of batches and ticks, never
    wall time, so that the same records give the same state whenever they are read. All calls come
    from one thread, in the order in which the records were taken.

    Its metrics come back after a restart. One that keeps more than these, and shows something else
    for it, has the two methods of `Keeps` too.
    """

    attributes: tuple[str, ...] = ()
    """The span attributes that it reads: each is a column of every batch."""

    def observe(self, batch: SpanBatch) -> None:
        """Take a batch of accepted spans into account; its arrays are only to be read."""
        ...

    def tick(self, now_ns: int) -> None:
        """Do what time alone makes due; `now_ns` is nanoseconds since the Unix epoch."""
        del now_ns  # most have nothing to do then


@runtime_checkable
class Keeps(Protocol):
    """A processor that keeps something beside its metrics over a restart.

    After a restart it is made as ever, is given the state, and then sees the records that came
    after that state again, with their own arrival times.
    """

    def state(self) -> State:
        """What it holds: None, bool, int, float, str, bytes, lists, dicts with texts as keys, and
        numpy arrays of numbers; tuples come back as lists.

        Called between two batches, with nothing received meanwhile, about once a minute: keep it
        small. Where it raises, the processor begins anew after a restart, and the log says why.
        """
        ...

    def restore(self, state: State) -> None:
        """Go on from a state that an earlier process wrote, perhaps of an older version.

        Called once, before the first batch. Where it raises, the attributes are as the constructor
        made them, and the log says why.
        """
        ...
