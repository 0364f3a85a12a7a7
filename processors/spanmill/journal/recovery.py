"""What is found in the journal's folder at a start."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from spanmill.clock import Clock
from spanmill.errors import StartError
from spanmill.journal.cold import ColdSource, find_blocks
from spanmill.journal.counting import Counted, Gap, count_records
from spanmill.journal.files import FileSystem
from spanmill.journal.lost_head import find_head, holds_records
from spanmill.journal.scan import Source
from spanmill.journal.segment import (
    COLD_SUFFIX,
    SUFFIX,
    FileSource,
    Segment,
    first_of,
    segment_name,
)
from spanmill.journal.segment_format import (
    BLOCK,
    FORMAT,
    Footer,
    Head,
    decode_footer,
    decode_head,
    decode_seal,
    encode_head,
)
from spanmill.journal.segment_writer import seal
from spanmill.journal.spares import SPARE

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
        is_only = following is None and not recovered.segments
        if segment.end == segment.first and not is_only:
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
    source = FileSource(files, file)
    head = decode_head(block, first)
    if head is not None:
        _check_head(path, head, journal_id)
        if head.first != first:
            right = segment_name(head.first) + ("" if path.suffix == SUFFIX else ".zst")
            what = f"rename it to {right}, if that is missing, and start again"
            _set_aside(files, path, f"its head says that it begins at {head.first}", what)
            recovered.damaged += 1
            return None
    segment = Segment(path, head or Head(first, first, 0, journal_id, True), Footer(first))
    segment.size = size
    if head is not None and _read_footer(segment, source, block):
        return segment
    records: Source = source
    limit = size
    if segment.cold:
        segment.footer.blocks, limit = find_blocks(source, size)
        records = ColdSource(source, segment.footer.blocks)
    if head is None:
        head = find_head(source, block, records, first, journal_id)
        if head is None:
            if not any(block) and not segment.cold and not holds_records(source, size):
                files.remove(path)  # it was made ready, but nothing was written to it
                return None
            what = "restore it from a backup and start again, or remove it"
            _set_aside(files, path, "both copies of its head are damaged", what)
            recovered.damaged += 1
            return None
        segment.head = head
        _log.error(
            "the first block of a segment was damaged; it is written again, as its records say",
            extra={"segment": str(path)},
        )
        files.write(file, [encode_head(head)], 0)
    elif decode_seal(block, head.salt) is not None:
        _log.warning(
            "the footer of a segment is damaged; it is written again, as its records say",
            extra={"segment": str(path)},
        )
    _tell_counted(
        segment,
        count_records(segment, records, limit, following, payloads=True),
        following,
        recovered,
    )
    if segment.cold:
        segment.end_at = limit
    else:
        _write_again(files, file, segment.end_at)
    if following is None and not head.synced:
        segment.footer.end += _UNSYNCED_AT_MOST
    blocks = segment.footer.blocks
    seal(files, segment, file, shrink=True, footer_at=blocks[-1] if blocks else None)
    return segment


def _read_footer(segment: Segment, file: Source, block: bytes) -> bool:
    """Whether a segment is sealed, and its footer intact; then it is known without reading it."""
    sealed = decode_seal(block, segment.head.salt)
    if sealed is None:
        return False
    footer = decode_footer(file.read(sealed.footer_bytes, sealed.footer_at), sealed)
    if footer is None:
        return False
    segment.footer, segment.end_at, segment.sealed = footer, sealed.end_at, True
    return True


def _set_aside(files: FileSystem, path: Path, reason: str, what_to_do: str) -> None:
    """Give a segment that can't be used another name: nothing that holds records is removed."""
    taken = set(files.names(path.parent))
    name = path.name + SET_ASIDE
    number = 1
    while name in taken:
        number += 1
        name = f"{path.name}{SET_ASIDE}-{number}"
    files.rename(path, path.with_name(name))
    _log.error(
        "a segment of the journal can't be read and was set aside",
        extra={"segment": str(path.with_name(name)), "reason": reason, "what_to_do": what_to_do},
    )


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


def _tell_counted(
    segment: Segment, counted: Counted, following: int | None, recovered: Recovered
) -> None:
    for gap in counted.gaps:
        if gap.end_at > gap.at:
            segment.footer.holes.append((gap.at, gap.end_at))
        recovered.damaged += _tell(segment, gap, gap.first < counted.durable)
    if counted.unfinished_at is not None and following is None:
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


def _tell(segment: Segment, gap: Gap, synced: bool) -> int:
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
