"""The journal's segments in order, for those who read them while they come and go."""

from __future__ import annotations

import logging
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from spanmill.errors import JournalError
from spanmill.journal.files import FileSystem
from spanmill.journal.follower import Backlog
from spanmill.journal.log import Signal
from spanmill.journal.scan import Damage, Found
from spanmill.journal.segment import Segment, read_segment
from spanmill.journal.stored import StoredRecord

_log = logging.getLogger(__name__)


class Segments:
    """The committed records on disk: `StoredJournal`.

    Only the one who writes adds and removes segments; any number of threads read. `damaged` is
    called once for each record or stretch of a segment that is found damaged while it is read.
    """

    def __init__(self, files: FileSystem, damaged: Callable[[Segment, Damage], None]) -> None:
        self._files: Final = files
        self._damaged = damaged
        self._told: set[tuple[int, int]] = set()
        self._lock = threading.Lock()
        self._segments: list[Segment] = []
        self._next = 0

    @property
    def first(self) -> int:
        """The lowest position that is still there (the next one, where there is none)."""
        with self._lock:
            return self._segments[0].first if self._segments else self._next

    @property
    def end(self) -> int:
        """One more than the highest committed position."""
        return self._next

    @property
    def bytes(self) -> int:
        """What the segments take on disk."""
        with self._lock:
            return sum(segment.size for segment in self._segments)

    def all(self) -> list[Segment]:
        """The segments as they are now, the oldest first."""
        with self._lock:
            return list(self._segments)

    def add(self, segment: Segment) -> None:
        """A segment was begun behind the others; one that is empty goes."""
        with self._lock:
            while self._segments and self._segments[-1].first >= segment.first:
                self._segments.pop().removed = True
            self._segments.append(segment)

    def remove(self, segment: Segment) -> bool:
        """Show a segment no more; whether nobody reads it."""
        with self._lock:
            if segment in self._segments:
                self._segments.remove(segment)
            segment.removed = True
            return segment.readers == 0

    def replace(self, old: Segment, new: Segment) -> bool:
        """Show another file for a segment; whether it was still there."""
        with self._lock:
            if old not in self._segments:
                return False
            self._segments[self._segments.index(old)] = new
            old.removed = True
            return True

    @contextmanager
    def hold(self, segment: Segment) -> Iterator[bool]:
        """Keep a segment's file from being used again; whether it is still there."""
        with self._lock:
            there = segment in self._segments
            segment.readers += 1
        try:
            yield there
        finally:
            with self._lock:
                segment.readers -= 1

    def committed(self, end: int) -> None:
        """The records below this position are committed."""
        self._next = end

    def read(self, position: int, *, payloads: bool = True) -> Iterator[StoredRecord]:
        """The records from this position on, up to those committed when it gets there."""
        while True:
            with self._held(position) as segment:
                if segment is None:
                    return
                end = segment.end
                for found in self._found(segment, position, payloads):
                    if isinstance(found, Damage):
                        self._tell(segment, found)
                    elif found.header.position >= end:
                        break
                    else:
                        position = found.header.position + 1
                        yield found.header.stored(found.payload)
                if not segment.removed:
                    position = max(position, end)

    def backlog(self, signal: Signal, start: int, end: int | None = None) -> Backlog:
        """What this signal's records from `start` up to `end` sum to.

        Of a segment that can't be read it is the part of its sums that its positions have.
        """
        stop = self._next if end is None else end
        total = Backlog()
        position = start
        while position < stop:
            with self._held(position) as segment:
                if segment is None:
                    break
                covered = segment.end
                if position <= segment.first and covered <= stop and segment.sealed:
                    sums = segment.footer.totals.get(signal.value)
                    if sums is not None:
                        total += Backlog(sums.records, sums.items, sums.bytes)
                    position = covered
                    continue
            try:
                total += self._counted(signal, position, min(covered, stop))
            except JournalError as error:
                _log.warning("a segment's sums stand for its records", extra={"reason": str(error)})
                total += _share(segment, signal, position, min(covered, stop))
            position = covered
        return total

    def segment_end(self, position: int) -> int:
        """Where the segment ends that has this position or the next higher one."""
        with self._held(position) as segment:
            return self._next if segment is None else segment.end

    def _counted(self, signal: Signal, start: int, stop: int) -> Backlog:
        records = items = size = 0
        for record in self.read(start, payloads=False):
            if record.position >= stop:
                break
            if record.signal is signal and record.payload_bytes and not record.duplicate:
                records += 1
                items += record.items
                size += record.payload_bytes
        return Backlog(records, items, size)

    def _found(self, segment: Segment, position: int, payloads: bool) -> Iterator[Found | Damage]:
        try:
            yield from read_segment(self._files, segment, position, payloads=payloads)
        except FileNotFoundError:
            # One that was compressed meanwhile is looked up again under its new name.
            if not segment.removed:
                raise JournalError(f"{segment.path} is gone; was it removed by hand?") from None
        except OSError as error:
            raise JournalError(
                f"{segment.path} can't be read ({error.strerror}); see to the disk"
            ) from error

    @contextmanager
    def _held(self, position: int) -> Iterator[Segment | None]:
        """The segment that has this position or the next higher one, not to be used again."""
        with self._lock:
            at = bisect_right(self._segments, position, key=lambda segment: segment.first) - 1
            at = max(at, 0)
            while at < len(self._segments) and self._segments[at].end <= position:
                at += 1
            segment = self._segments[at] if at < len(self._segments) else None
            if segment is not None:
                segment.readers += 1
        try:
            yield segment
        finally:
            if segment is not None:
                with self._lock:
                    segment.readers -= 1

    def _tell(self, segment: Segment, damage: Damage) -> None:
        key = (segment.first, damage.at)
        with self._lock:
            if key in self._told:
                return
            self._told.add(key)
        self._damaged(segment, damage)


def _share(segment: Segment, signal: Signal, start: int, stop: int) -> Backlog:
    """What a part of a segment has, if its records are all alike."""
    sums = segment.footer.totals.get(signal.value)
    begin, end = segment.first, segment.end
    part = min(stop, end) - max(start, begin)
    if sums is None or part <= 0:
        return Backlog()
    return Backlog(
        *(value * part // (end - begin) for value in (sums.records, sums.items, sums.bytes))
    )
