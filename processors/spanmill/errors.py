"""Everything that spanmill raises on purpose: what happened, where, and what to do."""

from __future__ import annotations

import os
import socket


class SpanmillError(Exception):
    """Base of all errors that spanmill raises on purpose."""


class ConfigError(SpanmillError):
    """The configuration can't be used; the message names file, line, path and the mend."""


class StartError(SpanmillError):
    """A part can't start (port in use, unreadable file); the message is one sentence."""


class RequestError(SpanmillError):
    """A request can't be taken; each subclass is one kind of answer to the client."""


class UndecodableError(RequestError):
    """The body is not what its encoding says; sending it again can't help."""


class TooLargeError(RequestError):
    """The body is over the size limit, on the wire or once inflated."""

    def __init__(self, limit: int, what: str) -> None:
        super().__init__(f"{what} is larger than max_request_size ({limit} bytes)")
        self.limit = limit


class TooManyMessagesError(RequestError):
    """The request has more of something than one may have, whatever its size."""

    def __init__(self, limit: int, what: str = "spans, scopes and resources") -> None:
        super().__init__(f"the request has more than {limit} {what}")
        self.limit = limit


class OverBudgetError(RequestError):
    """The request would take more memory than all requests together may; it never fits."""

    def __init__(self, needed: int, budget: int) -> None:
        super().__init__(
            f"the request may take {needed} bytes of memory, more than memory_budget ({budget} "
            "bytes)"
        )
        self.budget = budget


class UnauthenticatedError(RequestError):
    """The client has not shown who it is; the message never repeats what it has shown."""


class UnavailableError(RequestError):
    """The request can't be taken now; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FamilyConflictError(SpanmillError):
    """A metric family was declared twice under one name."""


class DeclarationError(SpanmillError):
    """A processor declares or uses a metric in a way that can't be; says what to change."""


class MergeError(SpanmillError):
    """A merge message can't be taken; it says why, and nothing was changed."""


class JournalError(SpanmillError):
    """The journal can't go on; the message says where (file, offset) and what to do."""


class CheckpointError(SpanmillError):
    """A kept state can't be taken over; it says why, and nothing was changed."""


def listen_failure(error: Exception) -> str:
    """Why an address can't be listened on, in words for the line that says so."""
    if isinstance(error, socket.gaierror):
        return "the host's name can't be resolved"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return str(error)
