"""A state directory as one reads it from outside: nothing is locked, nothing is written."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from spanmill.errors import CheckpointError, StartError
from spanmill.journal.checkpoint_files import CheckpointFiles
from spanmill.journal.cold import ColdSource
from spanmill.journal.counting import count_records
from spanmill.journal.cursor_log import CursorEntry, read_last_entry
from spanmill.journal.cursor_opening import SUFFIX, name_of
from spanmill.journal.dead_letters import DeadLetter, letter_files, read_letters
from spanmill.journal.files import FileSystem
from spanmill.journal.log import Signal
from spanmill.journal.scan import Damage, Source, scan
from spanmill.journal.segment import COLD_SUFFIX, FileSource, Segment, first_of
from spanmill.journal.segment_format import (
    BLOCK,
    FORMAT,
    Footer,
    decode_footer,
    decode_head,
    decode_seal,
)
from spanmill.journal.segments import Segments

UNSYNCED_GAP: Final = 1 << 31
"""A segment that ends so far behind its records skips positions that a power cut may have taken."""


@dataclass(slots=True)
class SeenSegment:
    """A segment's file; `segment` is None where it can't be read, and `problem` says why."""

    path: Path
    segment: Segment | None = None
    problem: str = ""
    damage: list[Damage] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SeenCursor:
    """Where a destination stands; `entry` is None where its file can't be read."""

    signal: str
    name: str
    entry: CursorEntry | None


@dataclass(frozen=True, slots=True)
class SeenCheckpoint:
    """A checkpoint's file; `arrival_ns` is that of its last record, None where it is damaged."""

    path: Path
    position: int
    size: int
    arrival_ns: int | None
    problem: str = ""


class StateDirectory:
    """What is in a state directory now, also while a process works in it.

    Raises StartError where it isn't one, or can't be read.
    """

    def __init__(self, files: FileSystem, directory: Path) -> None:
        self._files = files
        self.path: Final = directory
        try:
            names = files.names(directory)
        except OSError as error:
            raise StartError(
                f"can't read {directory} ({(error.strerror or str(error)).lower()}): "
                "name the folder that the configuration has as state.directory with --state"
            ) from error
        if "journal" not in names and "format" not in names:
            raise StartError(
                f"{directory} is no state directory: it has no journal in it; name the folder that "
                "the configuration has as state.directory with --state"
            )

    def segments(self, *, verify: bool = False) -> list[SeenSegment]:
        """The segments, the oldest first; with `verify` every payload is checked."""
        found: dict[int, Path] = {}
        with contextlib.suppress(FileNotFoundError):
            for name in sorted(self._files.names(self.path / "journal")):
                first = first_of(name)
                # A compressed one is complete once it has its name.
                if first is not None and not (first in found and not name.endswith(COLD_SUFFIX)):
                    found[first] = self.path / "journal" / name
        firsts = sorted(found)
        followings = [*firsts[1:], None] if firsts else []
        seen = []
        for first, following in zip(firsts, followings, strict=True):
            one = SeenSegment(found[first])
            try:
                self._look(one, following, verify=verify)
            except OSError as error:
                one.problem = f"can't be read: {(error.strerror or str(error)).lower()}"
            seen.append(one)
        return seen

    def records(self, seen: list[SeenSegment] | None = None) -> Segments:
        """The records, to be read by position."""
        stored = Segments(self._files, _tell_damage)
        for one in self.segments() if seen is None else seen:
            if one.segment is not None and one.segment.end > one.segment.first:
                stored.add(one.segment)
                stored.committed(one.segment.end)
        return stored

    def cursors(self) -> list[SeenCursor]:
        """Every destination that ever had a cursor here."""
        seen = []
        folder = self.path / "cursors"
        with contextlib.suppress(FileNotFoundError):
            for name in sorted(self._files.names(folder)):
                if name.endswith(SUFFIX):
                    signal, destination = name_of(folder / name)
                    with contextlib.suppress(FileNotFoundError):
                        entry, _ = read_last_entry(self._files, folder / name)
                        seen.append(SeenCursor(signal, destination, entry))
        return seen

    def checkpoints(self) -> list[SeenCheckpoint]:
        """The checkpoints, the newest first."""
        files = CheckpointFiles(self._files, self.path / "checkpoints")
        seen = []
        for path in files.newest_first():
            position = int(path.name.partition(".")[0])
            try:
                size = path.stat().st_size
                arrival, problem = files.read(path).arrival_ns, ""
            except FileNotFoundError:  # a newer one has just taken its place
                continue
            except (CheckpointError, StartError) as error:
                arrival, problem = None, str(error)
            seen.append(SeenCheckpoint(path, position, size, arrival, problem))
        return seen

    def dead_letters(self) -> Iterator[DeadLetter]:
        """The dead letters, the oldest first."""
        for path in letter_files(self._files, self.path / "dead-letters"):
            with contextlib.suppress(FileNotFoundError):
                yield from read_letters(self._files, path)

    def _look(self, seen: SeenSegment, following: int | None, *, verify: bool) -> None:
        file = self._files.open_to_read(seen.path)
        try:
            size = self._files.size(file)
            block = self._files.read(file, BLOCK, 0)
            head = decode_head(block)
            if head is None:
                seen.problem = "its head is damaged" if any(block) else "nothing is in it yet"
                return
            if head.format > FORMAT:
                seen.problem = f"it is in format {head.format}, of a newer spanmill"
                return
            seen.segment = segment = Segment(seen.path, head, Footer(head.first), BLOCK, size)
            source: Source = FileSource(self._files, file)
            sealed = decode_seal(block, head.salt)
            footer = None
            if sealed is not None:
                at, length = sealed.footer_at, sealed.footer_bytes
                footer = decode_footer(self._files.read(file, length, at), sealed)
            if sealed is not None and footer is not None:
                segment.footer, segment.end_at, segment.sealed = footer, sealed.end_at, True
                if segment.cold:
                    source = ColdSource(source, footer.blocks)
                if verify:
                    seen.damage = [
                        found
                        for found in scan(source, head.salt, BLOCK, segment.end_at, payloads=True)
                        if isinstance(found, Damage)
                    ]
            elif segment.cold:
                seen.segment, seen.problem = None, "its footer is damaged"
            else:
                # A process may be writing to it: what no record follows was not finished.
                size = segment.size
                counted = count_records(segment, source, size, following, payloads=verify)
                seen.damage = counted.damage
        finally:
            self._files.close(file)


def _tell_damage(segment: Segment, damage: Damage) -> None:
    print(f"spanmill: {segment.path} is damaged at byte {damage.at}; passed over", file=sys.stderr)


def totals(segment: Segment, signal: Signal) -> tuple[int, int]:
    """Items and payload bytes of a signal in a segment."""
    sums = segment.footer.totals.get(signal.value)
    return (0, 0) if sums is None else (sums.items, sums.bytes)
