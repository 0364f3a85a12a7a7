"""What a journal on disk gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from spanmill.journal.log import Signal


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it was written; `Entry` and `Record` say what the fields mean.

    `payload_bytes` is its payload's length, also where the payload itself wasn't read (None).
    """

    position: int
    arrival_ns: int
    signal: Signal
    source: str
    items: int
    rejected: Mapping[str, int]
    key: bytes
    duplicate: bool
    payload_bytes: int
    payload: bytes | None


class StoredRecords(Protocol):
    """The committed records that are still there, for any number of readers at once."""

    @property
    def first(self) -> int:
        """The lowest position that is still there (the next one, where there is none)."""
        ...

    @property
    def end(self) -> int:
        """One more than the highest committed position."""
        ...

    def read(self, position: int, *, payloads: bool = True) -> Iterator[StoredRecord]:
        """The records from this position on, ascending, up to those committed when it gets there.

        Positions that are gone, or damaged, are passed over. The iterator may be left and taken
        up again when more was committed; records that are removed under it end it.
        """
        ...
