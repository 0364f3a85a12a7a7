"""What the journal does beside committing: sealing, making ready, letting go, compressing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from spanmill.errors import UnavailableError
from spanmill.journal.follower import Follower
from spanmill.journal.retention import Retention
from spanmill.journal.segment_writer import SegmentWriter

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS: Final = 1.0


class Upkeep:
    """Keeps the journal's files in order, in a thread of its own once started."""

    def __init__(
        self, writer: SegmentWriter, retention: Retention, followers: Sequence[Follower]
    ) -> None:
        self._writer = writer
        self._retention = retention
        self._followers = followers
        self._woken = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Do it about once a second, and when woken."""
        self._thread = threading.Thread(target=self._run, name="journal-upkeep", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    def close(self) -> None:
        """Do nothing more; what is under way ends first."""
        self._closed = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    def step(self) -> None:
        """Do once what is to be done now.

        What fails keeps nothing else from being done; then the first OSError is raised.
        """
        failures: list[OSError] = []
        parts: list[Callable[[], object]] = [self._seal]
        parts += [follower.sync for follower in self._followers]
        parts += [self._retention.release, self._prepare]
        for part in parts:
            try:
                part()
            except OSError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _seal(self) -> None:
        while self._writer.seal_one():
            pass

    def _prepare(self) -> None:
        try:
            self._writer.prepare_ahead()
        except UnavailableError:
            _log.debug("there is no room for the next segment yet")

    def _run(self) -> None:
        failed: str | None = None
        while not self._closed:
            self._woken.wait(_INTERVAL_SECONDS)
            self._woken.clear()
            if self._closed:
                return
            try:
                self.step()
                failed = None
            except OSError as error:
                if failed != error.strerror:
                    failed = error.strerror
                    _log.warning("the journal's upkeep failed", extra={"error": failed})
