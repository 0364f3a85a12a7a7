"""What every transport shares: from a whole body to the commit of its items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from spanmill.clock import Clock
from spanmill.errors import UnavailableError
from spanmill.journal.log import RETRY_AFTER_SECONDS, Entry, Journal, Record, Signal
from spanmill.receivers.admission import Reservation
from spanmill.receivers.once import Known, Once
from spanmill.receivers.request_cost import protobuf_cost
from spanmill.receivers.signals import Decoded, TakenSignal, counted
from spanmill.telemetry import Telemetry

RequestSignal = Literal["traces", "metrics", "logs", "profiles"]
"""What a client wanted to send, as `spanmill_receiver_requests_total` names it."""

_SPAN_COLUMNS: Final = 8
"""Bytes that the columns of spans take for each byte on the wire, and the bytes themselves."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a client is told of a request that was taken.

    `rejected` items were not taken; `message` says why, and what else the client should know.
    """

    rejected: int
    message: str


class FirstCopyFailedError(Exception):
    """The request that this one repeats was not taken after all: take this one by itself."""


class Intake:
    """Decodes requests of one signal and submits them; safe to call from many threads.

    The journal is the pipeline's, which puts ticks into it that decode to nothing, and records
    of other signals. With `once`, a request that comes again is acknowledged and not taken again.
    """

    def __init__(
        self,
        taken: TakenSignal,
        journal: Journal[Decoded | None],
        telemetry: Telemetry,
        clock: Clock,
        once: Once | None = None,
    ) -> None:
        self.taken = taken
        self._journal = journal
        self._telemetry = telemetry
        self._refused = telemetry.books_of(taken.signal).received
        self.clock = clock
        self._once = once
        self._random = Random()
        self._waiting: set[Future[Receipt]] = set()

    def take(self, body: bytes, source: str, room: Reservation | None = None) -> Future[Receipt]:
        """Decode a request in this thread; the future ends once its items are committed.

        `room` is resized to what the request takes while it is decoded, and then to what is left
        of that: UnavailableError and OverBudgetError where it is not there.
        `source` is the client's identity: the one that it has proved, else its host address
        without the port. Raises UndecodableError and TooManyMessagesError. The future raises
        UnavailableError where the journal takes nothing now, and FirstCopyFailedError where the
        same request was being taken, and wasn't: take it again. It can't be cancelled: who gives
        up waiting must not undo a commit.
        """
        if self._once is None or not body:
            return self._take_new(body, source, b"", room)
        key = self._once.key(self.taken.signal, source, body)
        claimed = self._once.claim(key)
        if claimed is None:
            try:
                return self._take_new(body, source, key, room)
            except BaseException:
                self._once.ended(key, None)
                raise
        answer: Future[Receipt] = Future()
        answer.set_running_or_notify_cancel()
        if isinstance(claimed, Known):
            answer.set_result(self._taken_before(claimed, source))
        else:
            self._wait_for_first(claimed, answer, source)
        return answer

    def take_whole(self, body: bytes, source: str, room: Reservation | None = None) -> Receipt:
        """Take a request and wait for its commit in this thread; raises all that `take` does."""
        while True:
            try:
                return self.take(body, source, room).result()
            except FirstCopyFailedError:
                continue

    def _take_new(
        self, body: bytes, source: str, key: bytes, room: Reservation | None
    ) -> Future[Receipt]:
        if room is not None:
            room.resize(len(body) + protobuf_cost(self.taken.signal, body, self._random))
        decoded, warnings = self.taken.decode(body)
        if room is not None and self.taken.signal is Signal.TRACES:
            room.resize(min(room.held, len(body) * _SPAN_COLUMNS))
        receipt = self._receipt(decoded.rejected, warnings)
        answer: Future[Receipt] = Future()
        answer.set_running_or_notify_cancel()
        if not decoded.batch.payload and not receipt.rejected:
            answer.set_result(receipt)  # nothing that could be counted twice
            if key and self._once is not None:
                self._once.ended(key, Known(0, {}, warnings))
            return answer
        if warnings and key and self._once is not None:
            self._once.warn(key, warnings)
        self._waiting.add(answer)
        entry: Entry[Decoded | None] = Entry(
            payload=decoded.batch.payload,
            signal=self.taken.signal,
            source=source,
            items=len(decoded.batch),
            decoded=decoded,
            rejected=decoded.rejected,
            key=key,
        )
        items = entry.items + receipt.rejected

        def finish(committed: Future[Record[Decoded | None]]) -> None:
            self._waiting.discard(answer)
            error = committed.exception()
            if key and self._once is not None:
                known = Known(items, entry.rejected, warnings) if error is None else None
                self._once.ended(key, known)
            try:
                if error is None:
                    answer.set_result(receipt)
                else:
                    self._refused.add(items, "refused")
                    answer.set_exception(error)
            except InvalidStateError:
                return  # abandoned: the client has its answer

        self._journal.submit(entry).add_done_callback(finish)
        return answer

    def _wait_for_first(
        self, first: Future[Known | None], answer: Future[Receipt], source: str
    ) -> None:
        """Answer as the first copy of this request is answered, once it is."""
        self._waiting.add(answer)

        def finish(outcome: Future[Known | None]) -> None:
            self._waiting.discard(answer)
            known = outcome.result()
            try:
                if known is None:
                    answer.set_exception(FirstCopyFailedError())
                else:
                    answer.set_result(self._taken_before(known, source))
            except InvalidStateError:
                return  # abandoned, as above

        first.add_done_callback(finish)

    def _taken_before(self, known: Known, source: str) -> Receipt:
        """Count a request that came again, and say what was said of its first copy."""
        if known.items:
            self._journal.submit(
                Entry(b"", self.taken.signal, source, known.items, None, duplicate=True)
            )
        return self._receipt(known.rejected, known.warnings)

    def abandon(self) -> None:
        """Answer what still waits for its commit as unavailable: the deadline is over.

        Without it a handler's thread would keep the process alive behind a journal that hangs.
        """
        for answer in tuple(self._waiting):
            try:
                answer.set_exception(
                    UnavailableError("the process is shutting down", RETRY_AFTER_SECONDS)
                )
            except InvalidStateError:
                continue  # committed meanwhile

    def counts(self, receiver: str) -> RequestCounts:
        """The counts of this signal's requests to one receiver ("grpc", "http")."""
        return RequestCounts(receiver, self.taken.signal.value, self._telemetry, self.clock)

    def refuse_signal(self, receiver: str, signal: RequestSignal) -> None:
        """Count a request of a signal that isn't taken."""
        self._telemetry.receiver_requests.add(1, receiver, signal, "refused")

    def _receipt(self, rejected: Mapping[str, int], warnings: Sequence[str]) -> Receipt:
        told = [
            f"{counted(count, self.taken.item)} rejected: {self.taken.reasons[reason]}"
            for reason, count in rejected.items()
            if count
        ]
        return Receipt(sum(rejected.values()), "; ".join([*told, *warnings]))


class RequestCounts:
    """Counts the requests of one signal that one receiver answers.

    Spans and points are not counted here: the books change where the record is applied.
    """

    def __init__(self, receiver: str, signal: str, telemetry: Telemetry, clock: Clock) -> None:
        self._labels = (receiver, signal)
        self._telemetry = telemetry
        self._clock = clock
        for outcome in ("accepted", "partial", "refused"):
            telemetry.receiver_requests.add(0, *self._labels, outcome)

    def arrived(self) -> float:
        """When a request was complete, for `acknowledged`."""
        return self._clock.monotonic()

    def acknowledged(self, receipt: Receipt, arrived: float) -> None:
        """Count a request that was taken, in whole or in part, and how long that took."""
        outcome = "partial" if receipt.rejected else "accepted"
        self._telemetry.receiver_requests.add(1, *self._labels, outcome)
        nanoseconds = max(0, round((self._clock.monotonic() - arrived) * 1e9))
        self._telemetry.ack_duration.observe_one(nanoseconds)

    def refused(self) -> None:
        """Count a request that was not taken."""
        self._telemetry.receiver_requests.add(1, *self._labels, "refused")
