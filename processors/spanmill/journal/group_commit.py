"""Committing in groups: whoever submits to an idle journal commits, else one thread does."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Final, Generic, Protocol, TypeVar

from spanmill.errors import UnavailableError
from spanmill.journal.log import RETRY_AFTER_SECONDS, Decoded, Entry, Record

_log = logging.getLogger(__name__)

Prepared = TypeVar("Prepared")


class Follows(Protocol):
    """Whoever is shown every record once it was applied."""

    def append(self, record: Record[Any]) -> None:
        """Take a record in; called in order, under the books."""
        ...


class Log(Protocol[Decoded, Prepared]):
    """Where a group's records go before they are applied."""

    def prepare(self, entry: Entry[Decoded]) -> tuple[Prepared, int]:
        """What can be done before the entry's turn, by its thread; and the bytes it takes.

        Raises UnavailableError where it can't be taken.
        """
        ...

    def append(self, group: Sequence[Prepared]) -> Sequence[Record[Decoded]]:
        """Commit these as the next records, all or none; one call at a time.

        Raises UnavailableError where none is committed.
        """
        ...


class GroupCommit(Generic[Decoded, Prepared]):
    """Brings entries into one order, and ends each one's future when it is applied.

    Whoever submits while nobody commits does so itself, which saves waking two threads a
    request. It commits one group, what waits at that moment, so that nobody answers late
    because of the others; what came meanwhile is left to a thread that does nothing else.
    A group has `group_bytes` at most, but at least one entry.

    `books` is held while a record is applied and shown to the `followers`.
    """

    def __init__(
        self,
        log: Log[Decoded, Prepared],
        books: AbstractContextManager[object],
        group_bytes: int,
    ) -> None:
        self.followers: Final[list[Follows]] = []
        self._log = log
        self._books = books
        self._group_bytes = group_bytes
        self._pending: deque[tuple[Prepared, int, Future[Record[Decoded]]]] = deque()
        self._changed = threading.Condition()
        self._apply: Callable[[Record[Decoded]], None] | None = None
        self._committing = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def start(self, apply: Callable[[Record[Decoded]], None]) -> None:
        """Begin to commit."""
        self._thread = threading.Thread(target=self._commit, name="journal-commit", daemon=True)
        with self._changed:
            self._apply = apply
        self._thread.start()

    def submit(self, entry: Entry[Decoded]) -> Future[Record[Decoded]]:
        """Queue an entry; the future ends once it is committed and applied."""
        future: Future[Record[Decoded]] = Future()
        try:
            prepared, size = self._log.prepare(entry)
        except UnavailableError as refused:
            future.set_exception(refused)
            return future
        with self._changed:
            if self._closed:
                future.set_exception(_shutting_down())
                return future
            self._pending.append((prepared, size, future))
            if self._committing or self._apply is None:
                return future
            group = self._take_group()
        self._commit_group(group)
        return future

    def close(self) -> None:
        """Commit and apply what was submitted, then refuse the rest."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        for _, _, future in self._pending:  # it was never started
            if future.set_running_or_notify_cancel():
                future.set_exception(_shutting_down())
        self._pending.clear()

    def _commit(self) -> None:
        """Commit what was submitted while somebody else did."""
        while True:
            with self._changed:
                while self._committing or not (self._pending or self._closed):
                    self._changed.wait()
                if not self._pending:
                    return
                group = self._take_group()
            self._commit_group(group)
            del group  # or an idle journal would keep the last requests in memory

    def _take_group(self) -> list[tuple[Prepared, Future[Record[Decoded]]]]:
        """What waits, for whoever holds the lock to commit, and nobody else meanwhile."""
        self._committing = True
        group: list[tuple[Prepared, Future[Record[Decoded]]]] = []
        room = self._group_bytes
        while self._pending and (not group or self._pending[0][1] <= room):
            prepared, size, future = self._pending.popleft()
            room -= size
            group.append((prepared, future))
        return group

    def _commit_group(self, group: list[tuple[Prepared, Future[Record[Decoded]]]]) -> None:
        assert self._apply is not None, "it was started"
        try:
            # A caller that gave up may have cancelled; from here on it can't.
            taken = [pair for pair in group if pair[1].set_running_or_notify_cancel()]
            if not taken:
                return
            try:
                records = self._log.append([prepared for prepared, _ in taken])
            except Exception as error:  # noqa: BLE001 - every receiver waits for this
                if not isinstance(error, UnavailableError):
                    _log.exception("records could not be committed")
                for _, future in taken:
                    future.set_exception(error)
                return
            for record, (_, future) in zip(records, taken, strict=True):
                self._apply_record(self._apply, record, future)
        finally:
            with self._changed:
                self._committing = False
                if self._pending or self._closed:
                    self._changed.notify_all()

    def _apply_record(
        self,
        apply: Callable[[Record[Decoded]], None],
        record: Record[Decoded],
        future: Future[Record[Decoded]],
    ) -> None:
        """Show a committed record to everybody, and answer.

        It is in the journal whatever fails here: the answer is success, or the client would send
        it again, and there would be two of it.
        """
        with self._books:
            for shown in (apply, *(follower.append for follower in self.followers)):
                try:
                    shown(record)
                except Exception:  # noqa: BLE001 - the record is committed all the same
                    where = {"position": record.position}
                    _log.exception("a record could not be applied", extra=where)
        future.set_result(record)


def _shutting_down() -> UnavailableError:
    return UnavailableError("the process is shutting down", RETRY_AFTER_SECONDS)
