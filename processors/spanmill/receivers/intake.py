"""What every transport shares: from a whole body to the commit of its spans."""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from typing import Literal

import numpy as np

from spanmill.clock import Clock
from spanmill.errors import UnavailableError
from spanmill.journal.log import RETRY_AFTER_SECONDS, Entry, Journal, Record, Signal
from spanmill.spans.decoder import DecodedRequest, Decoder
from spanmill.telemetry import Telemetry

RequestSignal = Literal["traces", "metrics", "logs", "profiles"]
"""What a client wanted to send, as `spanmill_receiver_requests_total` names it."""


class TraceIntake:
    """Decodes requests and submits them to the journal; safe to call from many threads.

    The journal is the pipeline's, which puts ticks into it that decode to nothing.
    """

    def __init__(
        self,
        decoder: Decoder,
        journal: Journal[DecodedRequest | None],
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._decoder = decoder
        self._journal = journal
        self._telemetry = telemetry
        self.clock = clock
        self._waiting: set[Future[DecodedRequest]] = set()

    def take(self, body: bytes, source: str) -> Future[DecodedRequest]:
        """Decode a request in this thread; the future ends once its spans are committed.

        `source` is the peer's host address without its port. Raises UndecodableError; the
        future raises UnavailableError where the journal takes nothing now. It can't be
        cancelled: who gives up waiting must not undo a commit.
        """
        decoded = self._decoder.decode(body)
        answer: Future[DecodedRequest] = Future()
        answer.set_running_or_notify_cancel()
        if not decoded.batch.payload and not decoded.rejected_spans:
            answer.set_result(decoded)
            return answer
        self._waiting.add(answer)
        entry: Entry[DecodedRequest | None] = Entry(
            payload=decoded.batch.payload,
            signal=Signal.TRACES,
            source=source,
            items=len(decoded.batch),
            decoded=decoded,
        )

        def finish(committed: Future[Record[DecodedRequest | None]]) -> None:
            self._waiting.discard(answer)
            try:
                error = committed.exception()
                if error is not None:
                    refused = len(decoded.batch) + decoded.rejected_spans
                    self._telemetry.spans.received.add(refused, "refused")
                if error is None:
                    answer.set_result(decoded)
                else:
                    answer.set_exception(error)
            except InvalidStateError:
                return  # abandoned: the client has its answer

        self._journal.submit(entry).add_done_callback(finish)
        return answer

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
        """The counts of one receiver ("grpc", "http")."""
        return RequestCounts(receiver, self._telemetry, self.clock)


class RequestCounts:
    """Counts the requests that one receiver answers.

    Spans are not counted here: the books change where the record is applied.
    """

    def __init__(self, receiver: str, telemetry: Telemetry, clock: Clock) -> None:
        self._receiver = receiver
        self._telemetry = telemetry
        self._clock = clock
        for outcome in ("accepted", "partial", "refused"):
            telemetry.receiver_requests.add(0, receiver, "traces", outcome)

    def arrived(self) -> float:
        """When a request was complete, for `acknowledged`."""
        return self._clock.monotonic()

    def acknowledged(self, decoded: DecodedRequest, arrived: float) -> None:
        """Count a request that was taken, in whole or in part, and how long that took."""
        outcome = "partial" if decoded.rejected_spans else "accepted"
        self._telemetry.receiver_requests.add(1, self._receiver, "traces", outcome)
        nanoseconds = max(0, round((self._clock.monotonic() - arrived) * 1e9))
        self._telemetry.ack_duration.observe(np.array([nanoseconds], np.uint64))

    def refused(self, signal: RequestSignal = "traces") -> None:
        """Count a request that was not taken."""
        self._telemetry.receiver_requests.add(1, self._receiver, signal, "refused")
