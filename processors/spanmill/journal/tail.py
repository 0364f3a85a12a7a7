"""The records of a signal that came last, in memory, for all the cursors that keep up."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import Final

from spanmill.journal.log import ReadRecord

TAIL_BYTES: Final = 64 << 20
"""What one signal's tail may hold, in bytes."""

RECORD_OVERHEAD: Final = 200
"""Bytes that a record takes beside its payload; measured: 175."""

_TRIMMED_AT: Final = 1024  # places before the first record: then the list is made shorter


class Tail:
    """Recent records, so that a cursor that keeps up reads nothing from the disk.

    It holds `max_bytes` at most, RECORD_OVERHEAD for each record included, and nothing that
    every reader has passed: a reader that is far behind costs no more than that. A larger
    record than fits isn't held.
    """

    def __init__(self, max_bytes: int = TAIL_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._records: list[ReadRecord] = []
        self._positions: list[int] = []
        self._first = 0  # its place in the lists
        self._bytes = 0
        self._complete_from = 0
        self._next = 0
        self._passed: dict[str, int] = {}

    @property
    def bytes(self) -> int:
        """What is held, in bytes, with the overhead."""
        return self._bytes

    def begin(self, position: int) -> None:
        """Records from this position on will be appended; nothing older is held."""
        with self._lock:
            self._complete_from = self._next = position

    def join(self, reader: str, position: int) -> None:
        """A reader wants what comes from this position on."""
        with self._lock:
            self._passed[reader] = position

    def passed(self, reader: str, position: int) -> None:
        """The reader needs nothing below this position."""
        with self._lock:
            self._passed[reader] = position
            lowest = min(self._passed.values())
            while self._first < len(self._positions) and self._positions[self._first] < lowest:
                self._drop()
            self._trim()

    def append(self, record: ReadRecord) -> None:
        """Hold a record, the youngest, and let go of the oldest that have no room beside it.

        Each cursor may show it the same record; only the first one counts.
        """
        with self._lock:
            if record.position < self._next:  # another cursor has shown it already
                return
            self._next = record.position + 1
            self._records.append(record)
            self._positions.append(record.position)
            self._bytes += len(record.payload) + RECORD_OVERHEAD
            while self._bytes > self._max_bytes:
                self._drop()
            self._trim()

    def read(self, begin: int, end: int, max_bytes: int) -> tuple[list[ReadRecord], int] | None:
        """The records from `begin` on, at most `max_bytes` or one, and how far that is.

        None where some of them are not held any more.
        """
        with self._lock:
            if begin < self._complete_from:
                return None
            found: list[ReadRecord] = []
            total = 0
            for place in range(
                bisect_left(self._positions, begin, self._first), len(self._records)
            ):
                record = self._records[place]
                if record.position >= end:
                    break
                total += len(record.payload)
                if found and total > max_bytes:
                    return found, found[-1].position + 1
                found.append(record)
            return found, end

    def _drop(self) -> None:
        """Let go of the oldest one."""
        record = self._records[self._first]
        self._bytes -= len(record.payload) + RECORD_OVERHEAD
        self._complete_from = record.position + 1
        self._records[self._first] = _NOTHING
        self._first += 1

    def _trim(self) -> None:
        if self._first >= _TRIMMED_AT and self._first * 2 >= len(self._records):
            del self._records[: self._first]
            del self._positions[: self._first]
            self._first = 0


_NOTHING: Final = ReadRecord(-1, 0, b"", 0)
