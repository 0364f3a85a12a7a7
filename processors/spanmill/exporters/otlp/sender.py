"""What a protocol's sender does, and what a destination can answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Delivered:
    """The destination took the request, `rejected` of its items (spans or points) excepted.

    `unreadable` says that its answer was a success, but no OTLP.
    """

    rejected: int = 0
    message: str = ""
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """The same request may be sent again, after `after` seconds where the destination said so.

    `unanswered` says that it was (at least partly) sent and nothing came back: its size or its
    content can be the cause.
    """

    reason: str
    after: float | None = None
    unanswered: bool = False


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The destination takes smaller requests only."""

    reason: str


@dataclass(frozen=True, slots=True)
class Permanent:
    """Sending the same request again can't help.

    `by_content` is false where every other request would get the same answer (an unknown
    path, missing credentials).
    """

    reason: str
    by_content: bool = True


Reply = Delivered | Retry | TooLarge | Permanent


class Sender(Protocol):
    """Sends serialised requests of one signal to one destination."""

    def send(self, payload: bytes, timeout: float) -> Reply:
        """Send one request and wait for its answer, `timeout` seconds for all of it.

        Whatever the destination or the network does becomes a Reply.
        """
        ...

    def close(self) -> None:
        """End a request in flight, from any thread, and let go of every connection."""
        ...
