"""Compressing what waits for a destination that is far behind."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Sequence
from typing import Final

import msgspec

from spanmill.clock import Clock
from spanmill.journal.cold import COLD_BLOCK, compress_block
from spanmill.journal.files import FileSystem
from spanmill.journal.follower import Follower
from spanmill.journal.record_format import crc32c
from spanmill.journal.segment import COLD_SUFFIX, SUFFIX, Segment
from spanmill.journal.segment_format import (
    BLOCK,
    Seal,
    encode_footer,
    encode_head,
    encode_seal,
)
from spanmill.journal.segments import Segments
from spanmill.journal.spares import SPARE

_log = logging.getLogger(__name__)

_NEWEST: Final = 2
_COLD_AFTER_NS: Final = 300_000_000_000
_INTERVAL_SECONDS: Final = 5.0
_LOWEST_PRIORITY: Final = 19


class Compression:
    """Compresses sealed segments one by one, in a thread of lowest priority once started.

    Only those that a destination lacks, whose newest record is five minutes old, and that aren't
    among the newest two: what goes soon is not worth it. Memory: two blocks.
    """

    def __init__(
        self,
        files: FileSystem,
        segments: Segments,
        followers: Sequence[Follower],
        clock: Clock,
    ) -> None:
        self._files = files
        self._segments = segments
        self._followers = followers
        self._clock = clock
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look for something to do every few seconds."""
        self._thread = threading.Thread(target=self._run, name="journal-compress", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Do nothing more; a segment that is under way is left as it was."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def step(self) -> bool:
        """Compress the oldest segment that may be; whether there was one. Raises OSError."""
        segment = self._oldest()
        if segment is None:
            return False
        with self._segments.hold(segment) as there:
            try:
                return there and self._compress(segment)
            except FileNotFoundError:
                if not segment.removed:
                    raise
                return True  # it was let go meanwhile

    def _oldest(self) -> Segment | None:
        lacked_from = min((follower.needs_from for follower in self._followers), default=None)
        latest = self._clock.time_ns() - _COLD_AFTER_NS
        for segment in self._segments.all()[:-_NEWEST]:
            if not segment.sealed or lacked_from is None or segment.footer.arrivals[1] > latest:
                return None
            if not segment.cold and segment.footer.records and lacked_from < segment.end:
                return segment
        return None

    def _compress(self, segment: Segment) -> bool:
        path = segment.path
        unfinished = path.with_name(f"{SPARE}{path.name}")
        target = path.with_name(path.name.removesuffix(SUFFIX) + COLD_SUFFIX)
        file = self._files.open(unfinished, create=True)
        try:
            cold = self._write(segment, file)
            if cold is not None:
                self._files.sync(file)
                self._files.rename(unfinished, target)
                self._files.sync_folder(path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                self._files.remove(unfinished)
            raise
        finally:
            self._files.close(file)
        if cold is None:  # closed meanwhile
            self._files.remove(unfinished)
            return False
        cold.path = target
        if not self._segments.replace(segment, cold):
            self._files.remove(target)  # it was let go meanwhile
            return True
        self._files.remove(path)
        _log.info(
            "compressed a segment of the journal",
            extra={"segment": str(target), "from": segment.size, "to": cold.size},
        )
        return True

    def _write(self, segment: Segment, file: int) -> Segment | None:
        self._files.truncate(file, 0)
        at = BLOCK
        blocks = [at]
        source = self._files.open_to_read(segment.path)
        try:
            for begin in range(BLOCK, segment.end_at, COLD_BLOCK):
                if self._closed.is_set():
                    return None
                size = min(COLD_BLOCK, segment.end_at - begin)
                block = compress_block(self._files.read(source, size, begin))
                self._files.write(file, [block], at)
                at += len(block)
                blocks.append(at)
        finally:
            self._files.close(source)
        footer = msgspec.structs.replace(segment.footer, blocks=blocks)
        content = encode_footer(footer)
        self._files.write(file, [content], at)
        seal = Seal(segment.end_at, at, len(content), crc32c(content))
        head = bytearray(encode_head(segment.head))
        for place, written in encode_seal(seal, segment.head.salt):
            head[place : place + len(written)] = written
        self._files.write(file, [bytes(head)], 0)
        size = at + len(content)
        return Segment(segment.path, segment.head, footer, segment.end_at, size, sealed=True)

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # not every system lets a thread be nice alone
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)
        while not self._closed.wait(_INTERVAL_SECONDS):
            try:
                while not self._closed.is_set() and self.step():
                    pass
            except OSError as error:
                _log.warning(
                    "a segment of the journal can't be compressed",
                    extra={"error": error.strerror},
                )
