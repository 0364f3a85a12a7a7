"""Where a cursor's records come from: the tail in memory, else the segments."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

from spanmill.journal.log import ReadRecord, Signal
from spanmill.journal.stored import StoredRecord, StoredRecords
from spanmill.journal.tail import Tail


def is_for(record: StoredRecord, signal: Signal) -> bool:
    """Whether destinations of a signal get this record."""
    return record.signal is signal and record.payload_bytes > 0 and not record.duplicate


class CursorReader:
    """Reads records of one signal in order, without a lock of the cursor's held meanwhile.

    It stays in the segment where it is, so that a long backlog is read through once. Memory: one
    record, and what the stored records' iterator has.
    """

    def __init__(self, stored: StoredRecords, tail: Tail, signal: Signal) -> None:
        self._stored = stored
        self._tail = tail
        self._signal: Final = signal
        self._turn = threading.Lock()
        self._ahead: Iterator[StoredRecord] | None = None
        self._peeked: StoredRecord | None = None
        self._at = -1  # everything from here on is still to come from `_ahead`

    def read(self, begin: int, end: int, max_bytes: int) -> tuple[list[ReadRecord], int]:
        """Records from `begin` up to `end`, at most `max_bytes` or one, and how far that is.

        Raises OSError where a segment can't be read.
        """
        with self._turn:
            recent = self._tail.read(begin, end, max_bytes)
            if recent is not None:
                self._leave()
                return recent
            try:
                return self._read_stored(begin, end, max_bytes)
            except BaseException:
                self._leave()
                raise

    def _read_stored(self, begin: int, end: int, max_bytes: int) -> tuple[list[ReadRecord], int]:
        if self._ahead is None or self._at != begin:
            self._ahead, self._peeked = self._stored.read(begin), None
        found: list[ReadRecord] = []
        total = 0
        while (record := self._peeked or next(self._ahead, None)) is not None:
            self._peeked = record
            if record.position >= end:
                self._at = end
                return found, end
            if is_for(record, self._signal):
                if found and total + record.payload_bytes > max_bytes:
                    self._at = found[-1].position + 1
                    return found, self._at
                assert record.payload is not None, "payloads were asked for"
                found.append(
                    ReadRecord(record.position, record.arrival_ns, record.payload, record.items)
                )
                total += record.payload_bytes
            self._peeked = None
        self._leave()
        return found, end

    def _leave(self) -> None:
        self._ahead = self._peeked = None
