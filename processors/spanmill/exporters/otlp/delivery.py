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
from spanmill.exporters.otlp.letters import Letters
from spanmill.exporters.otlp.notices import Notices
from spanmill.exporters.otlp.sender import Delivered, Permanent, TooLarge
from spanmill.journal.log import Cursor, ReadRecord
from spanmill.spans.split import Part

SMALLEST_REQUEST: Final = 64 * 1024
"""Bytes below which the size of a request is not taken for what is wrong with it.

Unless the destination says so; then it is split, but the next ones are joined up to this."""


JOIN_BYTES: Final = 2 * 1024 * 1024
"""Bytes up to which records are joined, where the destination allows as much.

A larger request costs less by the byte, but soon so little less that its copy isn't worth the
memory; docs/transport.md has the figures.
"""


@dataclass(slots=True, eq=False)
class Request:
    """A serialised request, the number of its items (spans or points), and whose part it is.

    The last two are the outbox's: what had expired at the first attempt (None before it), and
    how often the destination had failed at the latest one.
    """

    payload: bytes
    items: int
    batch: _Batch
    expired_before: int | None = None
    failures_before: int = 0


@dataclass(slots=True, eq=False)
class _Batch:
    """Records that are answered for together.

    Several records are one request; a single one can be several. `waiting` is filled when the
    batch's turn comes, so that joined bytes exist only while they are sent. `closed` is the
    outcome of what is still under way, should it fail.
    """

    records: Sequence[ReadRecord]
    waiting: deque[Request] = field(default_factory=deque)
    under_way: list[Request] = field(default_factory=list)
    prepared: bool = False
    closed: str | None = None
    outcomes: Counter[str] = field(default_factory=Counter)


class Delivery:
    """Joins records to requests, splits those that are too large, and settles the outcomes.

    Any number of requests can be under way; they are handed out in the order of the records,
    and answered in any order. A record counts as queued until the last of its items was
    answered for. Not for several threads at once.
    """

    def __init__(
        self,
        cursor: Cursor,
        account: Account,
        notices: Notices,
        max_request_bytes: int,
        letters: Letters | None = None,
        *,
        max_joined_bytes: int = JOIN_BYTES,
    ) -> None:
        """`letters` keeps what is given up, if that is to be kept."""
        self._cursor = cursor
        self._account = account
        self._notices = notices
        self._letters = letters
        self._signal = account.signal
        self._max_request_bytes = max_request_bytes
        self._ceiling = max_request_bytes
        self._max_joined_bytes = min(JOIN_BYTES, max_joined_bytes)
        self._join_bytes = min(max_request_bytes, self._max_joined_bytes)
        self._floor = min(SMALLEST_REQUEST, max_request_bytes)
        # In the order of the records: those under way come first, but for what was put back.
        self._batches: deque[_Batch] = deque()
        self._in_hand: _Batch | None = None

    @property
    def join_bytes(self) -> int:
        """How many bytes of records to take at most (one record may be larger).

        Half of what the destination refused as too large or didn't answer; after silence it
        grows again with every success.
        """
        return self._join_bytes

    @property
    def waits(self) -> bool:
        """Whether a request waits, or records that are to become one."""
        return any(batch.waiting or not batch.prepared for batch in self._batches)

    def next_request(self) -> Request | None:
        """The oldest request that waits: under way from now on; None where none waits.

        It has to be ended by `answered`, `again`, `halve` or `give_up`.
        """
        position = 0
        while position < len(self._batches):
            batch = self._batches[position]
            if not batch.prepared:
                self._in_hand = batch
                self._prepare(batch)
            if batch.waiting:
                request = batch.waiting.popleft()
                batch.under_way.append(request)
                return request
            if not self._settle_if_done(batch):
                position += 1
        return None

    def take(self, records: Sequence[ReadRecord]) -> None:
        """Deliver these records after those that are still to be delivered."""
        self._batches.append(_Batch(records))

    def answered(self, request: Request, reply: Delivered | TooLarge | Permanent) -> None:
        """The destination's answer to a request."""
        batch = self._end(request)
        match reply:
            case Delivered():
                self._delivered(request, reply)
            case TooLarge():
                self._too_large(request, reply)
            case Permanent():
                self._rejected(request, reply)
        self._settle_if_done(batch)

    def again(self, request: Request) -> None:
        """The request is to be sent again, before all that is younger."""
        self._put_back(self._end(request), request)

    def halve(self, request: Request) -> None:
        """The destination was silent: as `again`, smaller, in case the size is the cause."""
        batch = self._end(request)
        size = len(request.payload)
        if size <= SMALLEST_REQUEST:
            self._put_back(batch, request)
            return
        self._join_bytes = min(self._join_bytes, max(size // 2, self._floor))
        if len(batch.records) > 1:
            self._halve_records(batch)
        else:
            self._put_back(batch, *(self._halves(request) or [request]))

    def give_up(self, request: Request) -> None:
        """The queue overflows: what the request is part of expires, or is halved first.

        So one request that a destination never answers can't hold up the others for ever.
        """
        batch = self._end(request)
        if len(batch.records) > 1:
            self._halve_records(batch)
        else:
            self._close(batch, EXPIRED)

    def abandon(self) -> None:
        """What was last begun can't be handled: its items are dead letters."""
        if (batch := self._in_hand) is not None:
            for record in batch.records:
                self._keep(record.payload, record.items, "spanmill failed on it")
            self._close(batch, DEAD_LETTERED)

    def _end(self, request: Request) -> _Batch:
        """The request is under way no longer."""
        batch = self._in_hand = request.batch
        batch.under_way.remove(request)
        return batch

    def _put_back(self, batch: _Batch, *requests: Request) -> None:
        """These requests, in place of one, wait before the others of their batch."""
        if batch.closed is None:
            batch.waiting.extendleft(reversed(requests))
        else:
            batch.outcomes[batch.closed] += sum(request.items for request in requests)
        self._settle_if_done(batch)

    def _prepare(self, batch: _Batch) -> None:
        batch.prepared = True
        items = sum(record.items for record in batch.records)
        if len(batch.records) > 1:
            payload = b"".join(record.payload for record in batch.records)
            batch.waiting.append(Request(payload, items, batch))
            return
        (record,) = batch.records
        if len(record.payload) <= self._ceiling:
            batch.waiting.append(Request(record.payload, items, batch))
            return
        for part in self._signal.split(record.payload, self._ceiling):
            if len(part.payload) > self._max_request_bytes:
                self._dead_letter(batch, part, "it is larger than max_request_bytes")
            else:
                batch.waiting.append(Request(part.payload, part.items, batch))

    def _delivered(self, request: Request, reply: Delivered) -> None:
        outcomes = request.batch.outcomes
        rejected = min(reply.rejected, request.items)
        outcomes[DELIVERED] += request.items - rejected
        outcomes[REJECTED] += rejected
        self._join_bytes = min(self._join_bytes * 2, self._ceiling, self._max_joined_bytes)
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

    def _too_large(self, request: Request, reply: TooLarge) -> None:
        batch = request.batch
        size = len(request.payload)
        parts = self._halves(request) if len(batch.records) == 1 else []
        if len(batch.records) == 1 and not parts:
            self._dead_letter(batch, request, reply.reason)
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
            self._put_back(batch, *parts)

    def _rejected(self, request: Request, reply: Permanent) -> None:
        batch = request.batch
        if reply.by_content and len(batch.records) > 1:
            # One of them is the culprit. Halves find it in a few requests, and it ends alone.
            self._halve_records(batch)
            return
        batch.outcomes[REJECTED] += request.items
        self._keep(request.payload, request.items, reply.reason)
        self._notices.warn(
            "destination rejected a request",
            **{self._signal.items: request.items},
            reason=reply.reason,
        )

    def _keep(self, payload: bytes, items: int, reason: str) -> None:
        if self._letters is not None:
            self._letters.keep(payload, items, reason)

    def _dead_letter(self, batch: _Batch, part: Request | Part, reason: str) -> None:
        batch.outcomes[DEAD_LETTERED] += part.items
        self._keep(part.payload, part.items, reason)
        self._notices.warn(
            f"a {self._signal.item} is too large to be sent",
            **{self._signal.items: part.items},
            reason=reason,
        )

    def _halves(self, request: Request) -> list[Request]:
        """The request in parts of at most half its size where its items allow; empty if one."""
        if request.items <= 1:
            return []
        parts = self._signal.split(request.payload, len(request.payload) // 2)
        if len(parts) == 1:
            return []
        return [Request(part.payload, part.items, request.batch) for part in parts]

    def _halve_records(self, batch: _Batch) -> None:
        """Deliver the halves of a joined batch, none of which is under way, in its place."""
        middle = len(batch.records) // 2
        position = self._batches.index(batch)
        self._batches[position] = _Batch(batch.records[:middle])
        self._batches.insert(position + 1, _Batch(batch.records[middle:]))

    def _close(self, batch: _Batch, outcome: str) -> None:
        """End a batch early: this is the outcome of what has none and isn't under way."""
        decided = batch.outcomes.total() + sum(request.items for request in batch.under_way)
        batch.outcomes[outcome] += sum(record.items for record in batch.records) - decided
        batch.closed = outcome
        batch.waiting.clear()
        self._settle_if_done(batch)

    def _settle_if_done(self, batch: _Batch) -> bool:
        """Whether the batch is answered for as a whole, and so no longer there."""
        if batch.waiting or batch.under_way or batch not in self._batches:
            return False
        self._batches.remove(batch)
        self._in_hand = None  # or an idle destination would keep its last request in memory
        self._account.settle(self._cursor, batch.records, batch.outcomes)
        return True
