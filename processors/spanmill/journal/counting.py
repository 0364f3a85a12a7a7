"""Counting the records of a segment that has no footer."""

from __future__ import annotations

from dataclasses import dataclass, field

from spanmill.journal.scan import Damage, Source, scan
from spanmill.journal.segment import Segment
from spanmill.journal.segment_format import BLOCK


@dataclass(frozen=True, slots=True)
class Gap:
    """The positions from `first` up to `end` are not intact, in these bytes."""

    first: int
    end: int
    at: int
    end_at: int


@dataclass(slots=True)
class Counted:
    """What isn't intact before the last record, and where a write behind it was not finished.

    All below `durable` was synced, as the records say.
    """

    gaps: list[Gap] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    unfinished_at: int | None = None
    durable: int = 0


def count_records(
    segment: Segment, source: Source, limit: int, following: int | None, *, payloads: bool
) -> Counted:
    """Take the records up to `limit` into a segment's footer, and set where they end.

    Those at or above the following segment's first position are void: they were refused. With
    `payloads` these are checked. Memory: as `scan`.
    """
    footer = segment.footer
    counted = Counted()
    damage: list[Damage] = []
    for found in scan(source, segment.head.salt, BLOCK, limit, payloads=payloads):
        if isinstance(found, Damage):
            damage.append(found)
            continue
        header = found.header
        if header.position < footer.end or (following is not None and header.position >= following):
            break
        if damage or header.position > footer.end:
            offset = damage[0].at if damage else segment.end_at
            counted.gaps.append(Gap(footer.end, header.position, offset, found.at))
            counted.damage += damage
            damage = []
        footer.take(
            header.position,
            header.arrival_ns,
            signal=header.signal,
            items=header.items,
            payload_bytes=0 if header.duplicate else header.payload_bytes,
            at=found.at,
        )
        segment.end_at = found.at + header.length
        counted.durable = max(counted.durable, header.durable)
    if damage:
        counted.unfinished_at = damage[0].at
    return counted
