"""What the journal does beside committing: sealing, making ready, letting go, compressing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from spanmill.errors import JournalError, UnavailableError
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

        What fails keeps nothing else from being done; then the first error is raised.
        """
        failures = self._step()
        if failures:
            raise failures[0]

    def _step(self) -> list[Exception]:
        failures: list[Exception] = []
        parts: list[Callable[[], object]] = [self._writer.watch, self._seal]
        parts += [follower.sync for follower in self._followers]
        parts += [self._release, self._prepare]
        for part in parts:
            try:
                part()
            except Exception as error:  # noqa: BLE001 - without upkeep the disk would fill
                failures.append(error)
        return failures

    def _seal(self) -> None:
        while self._writer.seal_one():
            pass

    def _release(self) -> None:
        if not self._writer.is_lost:  # or what has the segments' names is another one's
            self._retention.release()

    def _prepare(self) -> None:
        try:
            self._writer.prepare_ahead()
        except UnavailableError:
            _log.debug("there is no room for the next segment yet")

    def _run(self) -> None:
        told: set[str] = set()
        while not self._closed:
            self._woken.wait(_INTERVAL_SECONDS)
            self._woken.clear()
            if self._closed:
                return
            failures = {_kind(error): error for error in self._step()}
            for fault in failures.keys() - told:
                error = failures[fault]
                foreseen = isinstance(error, OSError | JournalError)
                _log.log(
                    logging.WARNING if foreseen else logging.ERROR,
                    "the journal's upkeep failed; it is tried again",
                    extra={"error": str(error)},
                    exc_info=None if foreseen else error,
                )
            told = set(failures)


def _kind(error: Exception) -> str:
    """What is told only once while it lasts."""
    return f"{type(error).__name__} {error.strerror if isinstance(error, OSError) else ''}"
