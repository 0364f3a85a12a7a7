"""What is found in the journal's folder at a start."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from spanmill.clock import Clock
from spanmill.errors import StartError
from spanmill.journal.files import FileSystem
from spanmill.journal.scan import Damage, scan
from spanmill.journal.segment import COLD_SUFFIX, FileSource, Segment, first_of
from spanmill.journal.segment_format import (
    BLOCK,
    FORMAT,
    Footer,
    Head,
    decode_footer,
    decode_head,
    decode_seal,
)
from spanmill.journal.segment_writer import SPARE, seal

_log = logging.getLogger(__name__)

_PROGRESS_SECONDS: Final = 2.0
_AT_ONCE: Final = 1 << 20
SET_ASIDE: Final = ".unreadable"
_UNSYNCED_AT_MOST: Final = 1 << 32
"""Positions to pass over behind records that were acknowledged without being synced: a cursor
may know of some that a power cut took."""


@dataclass(slots=True)
class Recovered:
    """The segments that are there, the oldest first, and where to go on.

    `damaged` is how many acknowledged records, or stretches of a segment, can't be read.
    """

    segments: list[Segment] = field(default_factory=list)
    next_position: int = 0
    last_arrival_ns: int = 0
    damaged: int = 0


def recover(files: FileSystem, folder: Path, journal_id: bytes, clock: Clock) -> Recovered:
    """Find the segments; those that aren't sealed are read whole, and sealed.

    It can be interrupted anywhere and begun again. Raises OSError, and StartError.
    """
    found = _names(files, folder)
    recovered = Recovered()
    progress = _Progress(clock, len(found))
    for number, (first, name) in enumerate(found):
        following = found[number + 1][0] if number + 1 < len(found) else None
        path = folder / name
        file = files.open(path)
        try:
            bounds = (first, following)
            segment = _recover_segment(files, (path, file), bounds, journal_id, recovered)
        finally:
            files.close(file)
        progress.tell(number + 1)
        if segment is None:
            continue
        if segment.head.after > recovered.next_position and recovered.segments:
            _tell_gap(recovered, segment)
        if segment.end == segment.first:
            files.remove(path)
        else:
            recovered.segments.append(segment)
        if segment.footer.records:
            recovered.last_arrival_ns = segment.footer.arrivals[1]
        recovered.next_position = max(recovered.next_position, segment.end)
    files.sync_folder(folder)
    return recovered


def _names(files: FileSystem, folder: Path) -> list[tuple[int, str]]:
    """The segments' first positions and names; what was never begun or finished goes."""
    found: dict[int, str] = {}
    for name in sorted(files.names(folder)):
        first = first_of(name)
        if first is None:
            if name.startswith(SPARE):
                files.remove(folder / name)
            continue
        # A compressed one is complete once it has its name.
        if name.endswith(COLD_SUFFIX) and first in found:
            files.remove(folder / found[first])
        found[first] = name
    return sorted(found.items())


def _recover_segment(
    files: FileSystem,
    place: tuple[Path, int],
    bounds: tuple[int, int | None],
    journal_id: bytes,
    recovered: Recovered,
) -> Segment | None:
    (path, file), (first, following) = place, bounds
    size = files.size(file)
    block = files.read(file, BLOCK, 0)
    head = decode_head(block)
    if head is None and any(block):
        aside = path.with_name(path.name + SET_ASIDE)
        files.rename(path, aside)
        recovered.damaged += 1
        _log.error(
            "a segment of the journal can't be read and was set aside",
            extra={"segment": str(aside), "reason": "both copies of its head are damaged"},
        )
        return None
    if head is None or head.first != first:  # its file was made ready, but nothing written to it
        files.remove(path)
        return None
    _check_head(path, head, journal_id)
    segment = Segment(path, head, Footer(first), BLOCK, size)
    sealed = decode_seal(block, head.salt)
    if sealed is not None:
        footer = decode_footer(files.read(file, sealed.footer_bytes, sealed.footer_at), sealed)
        if footer is not None:
            segment.footer, segment.end_at, segment.sealed = footer, sealed.end_at, True
            return segment
    if segment.cold:
        raise StartError(
            f"the footer of {path} is damaged: move that file away to go on without its records"
        )
    _read_whole(files, segment, file, following, recovered)
    _write_again(files, file, segment.end_at)
    if following is None and not head.synced:
        segment.footer.end += _UNSYNCED_AT_MOST
    seal(files, segment, file, shrink=True)
    return segment


def _check_head(path: Path, head: Head, journal_id: bytes) -> None:
    if head.format > FORMAT:
        raise StartError(
            f"{path} is in format {head.format}, which a newer spanmill wrote: start that "
            "version, or choose another state.directory"
        )
    if head.journal_id != journal_id:
        raise StartError(
            f"{path} belongs to another journal: move it out of this directory to go on"
        )


def _read_whole(
    files: FileSystem, segment: Segment, file: int, following: int | None, recovered: Recovered
) -> None:
    """Count the records of a segment that isn't sealed.

    Those at or above the following segment's first position are void: they were refused.
    """
    footer = segment.footer
    gaps: list[_Gap] = []
    damage_at: int | None = None
    durable = 0
    source = FileSource(files, file)
    for found in scan(source, segment.head.salt, BLOCK, segment.size, payloads=True):
        if isinstance(found, Damage):
            damage_at = found.at if damage_at is None else damage_at
            continue
        header = found.header
        if header.position < footer.end or (following is not None and header.position >= following):
            break
        if damage_at is not None or header.position > footer.end:
            offset = segment.end_at if damage_at is None else damage_at
            gaps.append(_Gap(footer.end, header.position, offset, found.at))
            damage_at = None
        footer.take(
            header.position,
            header.arrival_ns,
            signal=header.signal,
            items=header.items,
            payload_bytes=0 if header.duplicate else header.payload_bytes,
            at=found.at,
        )
        segment.end_at = found.at + header.length
        durable = max(durable, header.durable)
    for gap in gaps:
        if gap.end_at > gap.at:
            footer.holes.append((gap.at, gap.end_at))
        recovered.damaged += _tell(segment, gap, gap.first < durable)
    if damage_at is not None and following is None:
        _log.info(
            "the journal ends with a write that was not finished; nobody was told it was taken",
            extra={"segment": str(segment.path), "offset": segment.end_at},
        )


def _write_again(files: FileSystem, file: int, end_at: int) -> None:
    """Have what was read written with the next sync.

    After a sync that failed, and the end of the process, what is read may be in memory alone:
    the system takes it for written.
    """
    for at in range(0, end_at, _AT_ONCE):
        files.write(file, [files.read(file, min(_AT_ONCE, end_at - at), at)], at)


@dataclass(frozen=True, slots=True)
class _Gap:
    """The positions from `first` up to `end` are not intact, in these bytes."""

    first: int
    end: int
    at: int
    end_at: int


def _tell(segment: Segment, gap: _Gap, synced: bool) -> int:
    """Say what can't be read; the number of records that somebody had been told were taken."""
    fields = {
        "segment": str(segment.path),
        "offset": gap.at,
        "bytes": gap.end_at - gap.at,
        "from": gap.first,
        "to": gap.end - 1,
    }
    if synced or not segment.head.synced:
        _log.error("records of the journal are damaged and are passed over", extra=fields)
        return gap.end - gap.first
    _log.info("a write was not finished; nobody was told it was taken", extra=fields)
    return 0


def _tell_gap(recovered: Recovered, segment: Segment) -> None:
    recovered.damaged += segment.head.after - recovered.next_position
    _log.error(
        "records of the journal are missing",
        extra={
            "from": recovered.next_position,
            "to": segment.head.after - 1,
            "before": str(segment.path),
        },
    )


class _Progress:
    """Says now and then how far a long start has come."""

    def __init__(self, clock: Clock, segments: int) -> None:
        self._clock = clock
        self._segments = segments
        self._told = clock.monotonic()

    def tell(self, done: int) -> None:
        now = self._clock.monotonic()
        if now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            _log.info("opening the journal", extra={"segments": self._segments, "done": done})
