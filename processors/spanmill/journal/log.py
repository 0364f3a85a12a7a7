"""The journal: records in one order, and a cursor for each destination that reads them.

`submit` is the only way in, shared by every receiver; what was submitted is committed in
groups by one thread at a time, applied in journal order, and only then answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar


class Signal(Enum):
    """What a record carries."""

    TRACES = "traces"
    METRICS = "metrics"
    TICK = "tick"


Decoded = TypeVar("Decoded")
RETRY_AFTER_SECONDS: Final = 1.0
KEY_BYTES: Final = 16
CLOCK_STEP_NS: Final = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Entry(Generic[Decoded]):
    """What a receiver submits: the bytes, where they came from, and what they decode to.

    `items` is the number of spans or metric points in `payload`. `decoded` spares the one who
    applies the record a second decoding; it is never written anywhere. `rejected` has the items
    that the request had besides, by the reason why they are not in `payload`. `key` is what the
    same request has in common with each time it is sent again, KEY_BYTES long or empty.

    With `duplicate` it says that a request came again: `items` were not taken a second time,
    `payload` is empty, and nobody waits for its commit.
    """

    payload: bytes
    signal: Signal
    source: str
    items: int
    decoded: Decoded
    rejected: Mapping[str, int] = field(default_factory=dict)
    key: bytes = b""
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Record(Generic[Decoded]):
    """A committed entry: its position (from 0, without gaps) and its arrival time.

    `arrival_ns` is the clock of whatever is derived from the journal. It never falls from one
    record to the next by less than CLOCK_STEP_NS; a larger fall is a clock that was set back.
    """

    position: int
    arrival_ns: int
    entry: Entry[Decoded]


@dataclass(frozen=True, slots=True)
class CursorSettings:
    """A destination as the journal knows it.

    `max_backlog` is in payload bytes. A `required` destination's records are never given up: at
    that backlog the journal takes no more.
    """

    name: str
    signal: Signal
    max_backlog: int
    required: bool = False


class Journal(Protocol[Decoded]):
    """Commits entries in one order."""

    def submit(self, entry: Entry[Decoded]) -> Future[Record[Decoded]]:
        """Queue an entry; the future ends once it is committed and applied.

        A journal may do that in the calling thread: then the future has ended on return. The
        future raises UnavailableError where the journal is closed. Cancelled before its turn,
        the entry is left out; afterwards it can't be cancelled.
        """
        ...

    def cursor(self, settings: CursorSettings, expired: Callable[[int], None]) -> Cursor:
        """The reader of a destination; call it before `start`.

        While what it has not acknowledged takes more than `max_backlog`, its oldest records that
        were not yet read are given up, and `expired` gets the number of their items; so a record
        that doesn't fit beside those that were read is given up itself.
        """
        ...

    def open(self) -> None:
        """Take hold of what is there, before `start`.

        Raises StartError, one sentence that says how to go on.
        """
        ...

    def start(self, apply: Callable[[Record[Decoded]], None]) -> None:
        """Begin to commit. `apply` sees every record once, in order, one at a time.

        It may be called from any thread that submits; what one call did is seen by the next.
        """
        ...

    def close(self) -> None:
        """Commit and apply what was submitted, then refuse the rest. Cursors read on."""
        ...


class Cursor(Protocol):
    """One destination's position in the journal."""

    @property
    def name(self) -> str:
        """The destination's name."""
        ...

    @property
    def outcomes(self) -> Mapping[str, int]:
        """Items that the destination needs no more, by what became of them, over all restarts."""
        ...

    @property
    def created_ns(self) -> int:
        """Since when `outcomes` counts (ns since the Unix epoch); 0: since the process began."""
        ...

    @property
    def resumed(self) -> bool:
        """Whether it goes on from a place that it was told of before this process."""
        ...

    @property
    def forgotten(self) -> bool:
        """Whether it was told of a place before this process that can't be read any more."""
        ...

    @property
    def queued_items(self) -> int:
        """Items of the records that are neither acknowledged nor expired."""
        ...

    @property
    def queued_bytes(self) -> int:
        """Payload bytes of the records that are neither acknowledged nor expired."""
        ...

    def read(self, max_bytes: int, timeout: float, linger: float = 0.0) -> list[ReadRecord]:
        """The next records of at most `max_bytes` together, but at least one if there is one.

        Waits up to `timeout` seconds for a first one, and then up to `linger` seconds for as
        many as `max_bytes` holds. An empty list means that none came. For one thread at a time.
        """
        ...

    def acknowledge(self, records: Sequence[ReadRecord], outcomes: Mapping[str, int]) -> None:
        """These records were answered for; `outcomes` says what became of their items.

        In any order: after a restart those are read again that were not acknowledged.
        """
        ...

    def restate(self, outcomes: Mapping[str, int], created_ns: int) -> None:
        """Replace what `outcomes` and `created_ns` are; before anything was read."""
        ...

    def wake(self) -> None:
        """End a `read` that waits, or else the next one, without waiting any longer."""
        ...

    def close(self) -> None:
        """Read no more: a waiting `read` returns at once, with nothing."""
        ...


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """What a destination gets to see of a record."""

    position: int
    arrival_ns: int
    payload: bytes
    items: int
