"""What one destination still has to get, and what each of its answers means for it.

Nothing here sends, waits or starts a thread: the destination's loop does.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from spanmill.exporters.otlp.account import (
    DEAD_LETTERED,
    DELIVERED,
    EXPIRED,
    REJECTED,
    Account,
)
from spanmill.exporters.otlp.notices import Notices
from spanmill.exporters.otlp.sender import Delivered, Permanent, TooLarge
from spanmill.journal.log import Cursor, ReadRecord

SMALLEST_REQUEST: Final = 64 * 1024
"""Bytes below which the size of a request is not taken for what is wrong with it.

Unless the destination says so; then it is split, but the next ones are joined up to this."""


@dataclass(frozen=True, slots=True)
class Request:
    """A serialised request and the number of its items (spans or points)."""

    payload: bytes
    items: int


@dataclass(slots=True)
class _Batch:
    """Records that are answered for together.

    Several records are one request; a single one can be several. `requests` is filled when
    the batch's turn comes, so that joined bytes exist once at a time.
    """

    records: Sequence[ReadRecord]
    requests: deque[Request] = field(default_factory=deque)
    outcomes: Counter[str] = field(default_factory=Counter)


class Delivery:
    """Joins records to requests, splits those that are too large, and settles the outcomes.

    Requests go out in the order of the records. A record counts as queued until the last of
    its items was answered for.
    """

    def __init__(
        self, cursor: Cursor, account: Account, notices: Notices, max_request_bytes: int
    ) -> None:
        self._cursor = cursor
        self._account = account
        self._notices = notices
        self._signal = account.signal
        self._max_request_bytes = max_request_bytes
        self._ceiling = max_request_bytes
        self._join_bytes = max_request_bytes
        self._floor = min(SMALLEST_REQUEST, max_request_bytes)
        self._batches: deque[_Batch] = deque()

    @property
    def join_bytes(self) -> int:
        """How many bytes of records to take at most (one record may be larger).

        Half of what the destination refused as too large or didn't answer; after silence it
        grows again with every success.
        """
        return self._join_bytes

    def next_request(self) -> Request | None:
        """The request to be sent, the same until it is answered for; None without records.

        What a destination does or says is always about this request.
        """
        while self._batches:
            batch = self._batches[0]
            if batch.requests:
                return batch.requests[0]
            self._prepare(batch)
            self._settle_if_done(batch)
        return None

    def take(self, records: Sequence[ReadRecord]) -> None:
        """Deliver these records after those that are still to be delivered."""
        self._batches.append(_Batch(records))

    def answered(self, reply: Delivered | TooLarge | Permanent) -> None:
        """The destination's answer to the request."""
        batch = self._batches[0]
        match reply:
            case Delivered():
                self._delivered(batch, reply)
            case TooLarge():
                self._too_large(batch, reply)
            case Permanent():
                self._rejected(batch, reply)
        self._settle_if_done(batch)

    def halve(self) -> None:
        """The destination was silent: make the request smaller, in case its size is the cause."""
        batch = self._batches[0]
        size = len(batch.requests[0].payload)
        if size <= SMALLEST_REQUEST:
            return
        self._join_bytes = max(min(self._join_bytes, size // 2), self._floor)
        if len(batch.records) > 1:
            self._halve_records(batch)
        elif parts := self._halves(batch.requests[0]):
            batch.requests.popleft()
            batch.requests.extendleft(reversed(parts))

    def give_up_oldest(self) -> None:
        """The queue overflows: the request, the oldest in it, expires, or is halved first.

        So one request that a destination never answers can't hold up the others for ever.
        """
        batch = self._batches[0]
        if len(batch.records) > 1:
            self._halve_records(batch)
        else:
            self._close(batch, EXPIRED)

    def abandon(self) -> None:
        """The batch in hand can't be handled: its items are dead letters."""
        if self._batches:
            self._close(self._batches[0], DEAD_LETTERED)

    def _prepare(self, batch: _Batch) -> None:
        items = sum(record.items for record in batch.records)
        if len(batch.records) > 1:
            batch.requests.append(Request(b"".join(r.payload for r in batch.records), items))
            return
        (record,) = batch.records
        if len(record.payload) <= self._ceiling:
            batch.requests.append(Request(record.payload, items))
            return
        for part in self._signal.split(record.payload, self._ceiling):
            if len(part.payload) > self._max_request_bytes:
                self._dead_letter(batch, part.items, "it is larger than max_request_bytes")
            else:
                batch.requests.append(Request(part.payload, part.items))

    def _delivered(self, batch: _Batch, reply: Delivered) -> None:
        request = batch.requests.popleft()
        rejected = min(reply.rejected, request.items)
        batch.outcomes[DELIVERED] += request.items - rejected
        batch.outcomes[REJECTED] += rejected
        self._join_bytes = min(self._join_bytes * 2, self._ceiling)
        if rejected:
            items = self._signal.items
            self._notices.warn(
                f"destination rejected some {items}", **{items: rejected}, reason=reply.message
            )
        elif reply.message:
            self._notices.warn("destination warns", warning=reply.message)
        elif reply.unreadable:
            self._notices.warn_once(
                "destination answers a success that is no OTLP; counted as delivered"
            )

    def _too_large(self, batch: _Batch, reply: TooLarge) -> None:
        request = batch.requests[0]
        size = len(request.payload)
        parts = self._halves(request) if len(batch.records) == 1 else []
        if len(batch.records) == 1 and not parts:
            batch.requests.popleft()
            self._dead_letter(batch, request.items, reply.reason)
            return
        self._ceiling = max(min(self._ceiling, size // 2), self._floor)
        self._join_bytes = min(self._join_bytes, self._ceiling)
        self._notices.warn(
            "destination takes smaller requests only; set its max_request_bytes",
            refused_bytes=size,
            reason=reply.reason,
        )
        if len(batch.records) > 1:
            self._halve_records(batch)
        else:
            batch.requests.popleft()
            batch.requests.extendleft(reversed(parts))

    def _rejected(self, batch: _Batch, reply: Permanent) -> None:
        if reply.by_content and len(batch.records) > 1:
            # One of them is the culprit: alone, it takes no neighbour with it.
            self._replace_first([(record,) for record in batch.records])
            return
        request = batch.requests.popleft()
        batch.outcomes[REJECTED] += request.items
        self._notices.warn(
            "destination rejected a request",
            **{self._signal.items: request.items},
            reason=reply.reason,
        )

    def _dead_letter(self, batch: _Batch, items: int, reason: str) -> None:
        batch.outcomes[DEAD_LETTERED] += items
        self._notices.warn(
            f"a {self._signal.item} is too large to be sent",
            **{self._signal.items: items},
            reason=reason,
        )

    def _halves(self, request: Request) -> list[Request]:
        """The request in parts of at most half its size where its items allow; empty if one."""
        if request.items <= 1:
            return []
        parts = self._signal.split(request.payload, len(request.payload) // 2)
        return [Request(part.payload, part.items) for part in parts] if len(parts) > 1 else []

    def _halve_records(self, batch: _Batch) -> None:
        middle = len(batch.records) // 2
        self._replace_first([batch.records[:middle], batch.records[middle:]])

    def _replace_first(self, groups: Sequence[Sequence[ReadRecord]]) -> None:
        """Deliver groups of the first batch's records instead of the batch."""
        self._batches.popleft()
        self._batches.extendleft(_Batch(group) for group in reversed(groups))

    def _close(self, batch: _Batch, outcome: str) -> None:
        """End a batch early: what has no outcome yet gets this one."""
        items = sum(record.items for record in batch.records)
        batch.outcomes[outcome] += items - batch.outcomes.total()
        batch.requests.clear()
        self._settle_if_done(batch)

    def _settle_if_done(self, batch: _Batch) -> None:
        if batch.requests or self._batches[0] is not batch:
            return
        self._batches.popleft()
        self._account.settle(self._cursor, batch.records, batch.outcomes)
