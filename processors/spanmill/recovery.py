"""A restart goes on where the process before ended: checkpoints, and the records after them."""

from __future__ import annotations

import logging
import threading
from typing import Final

from spanmill.checkpoints import Checkpoints
from spanmill.clock import Clock
from spanmill.derivation import Derivation
from spanmill.errors import StartError, UnavailableError
from spanmill.journal.disk import DiskJournal
from spanmill.journal.log import Entry, Record, Signal
from spanmill.journal.stored import StoredRecord
from spanmill.receivers.signals import Decoded

_log = logging.getLogger(__name__)

_PROGRESS_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 1.0


class Recovery:
    """Brings back what was derived before, and saves it every so often while records come."""

    def __init__(
        self,
        journal: DiskJournal[Decoded | None],
        checkpoints: Checkpoints,
        derivation: Derivation,
        clock: Clock,
        *,
        interval: float,
        most_bytes: int,
    ) -> None:
        """A checkpoint is due every `interval` seconds, and after `most_bytes` of the journal."""
        self._journal = journal
        self._checkpoints = checkpoints
        self._derivation = derivation
        self._clock = clock
        self._interval = interval
        self._most_bytes = most_bytes
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def restore(self) -> None:
        """Bring back the state after the last record of the journal, which is open.

        A line in the log says every few seconds how far it is, and at the end what it took.
        """
        begun = told = self._clock.monotonic()
        position = self._checkpoints.restore()
        self._journal.begin_at(position + 1)
        records = 0
        last = self._journal.stored.end - 1

        def replay(stored: StoredRecord) -> None:
            nonlocal records, told
            try:
                self._derivation.replay(stored)
            except Exception:  # noqa: BLE001 - one record must not keep the process from starting
                where = {"position": stored.position}
                _log.exception("a record of the journal could not be applied", extra=where)
            self._checkpoints.applied(stored.position, stored.arrival_ns)
            records += 1
            now = self._clock.monotonic()
            if now - told >= _PROGRESS_SECONDS:
                told = now
                progress = {"position": stored.position, "last": last, "records": records}
                _log.info("reading the journal", extra=progress)

        self._journal.replay(position, replay)
        self._journal.checkpointed(self._checkpoints.needed_after)
        if position >= 0 or records:
            _log.info(
                "restored",
                extra={
                    "checkpoint": position if position >= 0 else "none",
                    "records": records,
                    "seconds": round(self._clock.monotonic() - begun, 2),
                },
            )

    def apply(self, record: Record[Decoded | None]) -> None:
        """Take one committed record in; runs under the registry's lock."""
        self._derivation.apply(record)
        self._checkpoints.applied(record.position, record.arrival_ns)

    def start(self) -> None:
        """Save what is derived from now on, and at once where nothing was saved yet.

        Before anybody can see a counter its created stamp is on disk: no record carries it.
        """
        if self._checkpoints.saved is None:
            try:
                self._journal.submit(Entry(b"", Signal.TICK, "", 0, None)).result()
            except UnavailableError as error:
                # Full until a destination has caught up, say: for which it has to be started.
                _log.warning("the first checkpoint has to wait", extra={"reason": str(error)})
            else:
                self.save()
        self._thread.start()

    def stop(self) -> None:
        """Save it once more: the next start will have nothing to read again."""
        self._stopping.set()
        self._thread.join()
        self.save()

    def save(self) -> None:
        """Write a checkpoint, and let go of the records that no start will need."""
        if not self._checkpoints.save():
            return
        try:
            needed_after = self._checkpoints.needed_after
        except StartError as error:
            _log.warning("the records before a checkpoint stay", extra={"reason": str(error)})
            return
        self._journal.checkpointed(needed_after)

    def _run(self) -> None:
        saved_at, bytes_then = self._clock.monotonic(), self._journal.bytes_to_replay
        while not self._stopping.wait(min(self._interval, _LOOK_SECONDS)):
            waited = self._clock.monotonic() - saved_at
            grown = self._journal.bytes_to_replay - bytes_then
            if waited >= self._interval or grown >= self._most_bytes:
                self.save()
                saved_at, bytes_then = self._clock.monotonic(), self._journal.bytes_to_replay
