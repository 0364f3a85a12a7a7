"""Which segments may go, and why the journal takes no more where none may."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spanmill.clock import Clock
from spanmill.errors import UnavailableError
from spanmill.journal.files import FileSystem
from spanmill.journal.follower import Follower, sync_or_warn
from spanmill.journal.log import RETRY_AFTER_SECONDS
from spanmill.journal.segment import Segment
from spanmill.journal.segments import Segments


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """`max_bytes` is what the journal may take on disk; `max_age_ns` how long records wait."""

    max_bytes: int
    max_age_ns: int


class Retention:
    """Lets the oldest segments go once nobody needs them.

    Those need a segment that have not answered for its records: the older of the checkpoints
    that are kept, and each destination. One that is not `required` gives up what is older than
    `max_age`, and the oldest where the journal would grow over `max_bytes`.
    """

    def __init__(
        self,
        files: FileSystem,
        segments: Segments,
        followers: Sequence[Follower],
        *,
        settings: RetentionSettings,
        clock: Clock,
        books: AbstractContextManager[object],
        use_again: Callable[[Segment], bool],
    ) -> None:
        self._files: Final = files
        self._segments = segments
        self._followers = followers
        self._settings = settings
        self._clock = clock
        self._books = books
        self._use_again = use_again
        self._lock = threading.RLock()  # who commits makes room as well; taken before the books
        self._expired_below = 0
        self.checkpointed_to = 0
        self.spare_bytes: Callable[[], int] = lambda: 0
        self.drop_spares: Callable[[], None] = lambda: None
        self.discard: Callable[[Path, int], None] = lambda path, _: files.remove(path)

    def refusal(self) -> str | None:
        """Why nothing more may be taken now: a required destination is too far behind."""
        for follower in self._followers:
            settings = follower.settings
            if settings.required and follower.queued_bytes >= settings.max_backlog:
                return (
                    f"the required destination {settings.name} lacks {follower.queued_bytes} bytes "
                    f"of {settings.signal.value}, and its max_backlog is {settings.max_backlog}"
                )
        return None

    def release(self) -> int:
        """Let go what nobody needs any more; how many segments went."""
        with self._lock:
            self._expire_old()
            return self._remove_unneeded()

    def make_room(self, size: int) -> None:
        """Have room for a file of so many bytes; raises UnavailableError where that can't be."""
        with self._lock:
            self._make_room(size)

    def _make_room(self, size: int) -> None:
        while self._taken() + size > self._settings.max_bytes:
            if self._remove_unneeded():
                continue
            spare = self.spare_bytes()
            if spare:
                self.drop_spares()
                if self.spare_bytes() < spare:  # or they can't be removed now
                    continue
            oldest = next(iter(self._segments.all()), None)
            if oldest is None:
                return
            who = self._held_by(oldest)
            if who is not None:
                raise UnavailableError(
                    f"the journal is at its max_bytes ({self._settings.max_bytes}), and {who}",
                    RETRY_AFTER_SECONDS,
                )
            self._expire(oldest.end)
            if not self._remove_unneeded():
                return  # it is still to be sealed

    def _taken(self) -> int:
        return self._segments.bytes + self.spare_bytes()

    def _held_by(self, segment: Segment) -> str | None:
        """Who can't give up a segment, in words."""
        for follower in self._followers:
            if follower.settings.required and follower.needs_from < segment.end:
                return f"the required destination {follower.settings.name} lacks its oldest records"
        if self.checkpointed_to < segment.end:
            return "no checkpoint has been written since its oldest records"
        return None

    def _expire_old(self) -> None:
        oldest_kept = self._clock.time_ns() - self._settings.max_age_ns
        below = 0
        for segment in self._segments.all():
            if not segment.sealed or segment.footer.arrivals[1] >= oldest_kept:
                break
            below = segment.end
        if below:
            self._expire(below)

    def _expire(self, below: int) -> None:
        self._expired_below = max(below, self._expired_below)
        for follower in self._followers:
            if not follower.settings.required and follower.needs_from < below:
                with self._books:
                    follower.expire(below)
                sync_or_warn(follower)

    def _needs_from(self, follower: Follower) -> int:
        """What a destination needs; what it read before that expired, it has in memory."""
        if follower.settings.required:
            return follower.needs_from
        return max(follower.needs_from, self._expired_below)

    def _remove_unneeded(self) -> int:
        needed = min((self.checkpointed_to, *map(self._needs_from, self._followers)))
        removed = 0
        # The newest one is kept: by it a start knows which positions were used.
        for segment in self._segments.all()[:-1]:
            if not segment.sealed or segment.end > needed:
                break
            if self._segments.remove(segment) and not segment.cold and self._use_again(segment):
                removed += 1
                continue
            self.discard(segment.path, segment.size)
            removed += 1
        return removed
