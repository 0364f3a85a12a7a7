"""What a client is told: partial success of what was taken, and the status of what was not."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

import grpc
import msgspec
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from spanmill.errors import (
    OverBudgetError,
    TooLargeError,
    TooManyMessagesError,
    UnauthenticatedError,
    UnavailableError,
    UndecodableError,
)
from spanmill.receivers.intake import Receipt
from spanmill.receivers.signals import TakenSignal

_log = logging.getLogger(__name__)

STATUS_DETAILS_KEY: Final = "grpc-status-details-bin"
"""The trailing metadata that carries a serialised `google.rpc.Status`."""

# A client's metadata limit is 8 KiB, percent-encoding triples a byte, and details repeat it.
_MAX_MESSAGE = 1000


class Encoding(Enum):
    """How bodies are encoded over HTTP; the value is the media type."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not taken, as each transport says it.

    `retry_after` is in seconds; without it the client must not send the request again.
    """

    code: grpc.StatusCode
    http_status: int
    message: str
    retry_after: float | None = None

    @property
    def retry_after_header(self) -> bytes | None:
        """The value of HTTP's `Retry-After`, in whole seconds, never too early."""
        if self.retry_after is None:
            return None
        return b"%d" % max(1, math.ceil(self.retry_after))


def refusal_of(error: Exception) -> Refusal:
    """The answer for an error that kept a request from being taken.

    Over the limits gRPC says RESOURCE_EXHAUSTED without RetryInfo, on which clients drop
    the request: the one case in which they should.
    """
    message = str(error)[:_MAX_MESSAGE]
    if isinstance(error, UndecodableError):
        return Refusal(grpc.StatusCode.INVALID_ARGUMENT, 400, message)
    if isinstance(error, TooLargeError | TooManyMessagesError | OverBudgetError):
        return Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, 413, message)
    if isinstance(error, UnauthenticatedError):
        return Refusal(grpc.StatusCode.UNAUTHENTICATED, 401, message)
    if isinstance(error, UnavailableError):
        return Refusal(grpc.StatusCode.UNAVAILABLE, 503, message, error.retry_after)
    _log.error("a request failed", exc_info=error)
    return Refusal(grpc.StatusCode.INTERNAL, 500, "an internal error, see the log of spanmill")


def unsupported(signal: str) -> str:
    """What a client is told that sends a signal which is not taken."""
    return f"spanmill does not take {signal} yet"


def status_details(refusal: Refusal) -> bytes:
    """A serialised `google.rpc.Status`, with `RetryInfo` where the client may try again."""
    status = status_pb2.Status(code=refusal.code.value[0], message=refusal.message)
    if refusal.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(round(refusal.retry_after * 1e9))
        retry_info = any_pb2.Any()
        retry_info.Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        status.details.append(retry_info)
    details: bytes = status.SerializeToString()
    return details


def refusal_body(refusal: Refusal, encoding: Encoding) -> bytes:
    """The body of an HTTP error, a `google.rpc.Status` in the request's encoding."""
    if encoding is Encoding.PROTOBUF:
        return status_details(refusal)
    return msgspec.json.encode({"code": refusal.code.value[0], "message": refusal.message})


def success_body(receipt: Receipt, taken: TakenSignal, encoding: Encoding) -> bytes:
    """The signal's response message: `partial_success` only where there is something to say."""
    if encoding is Encoding.JSON:
        if not receipt.message:
            return b"{}"
        # As the JSON mapping of protobuf wants it, a 64-bit integer is a string.
        partial = {
            taken.rejected_field: str(receipt.rejected),
            "errorMessage": receipt.message,
        }
        return msgspec.json.encode({"partialSuccess": partial})
    if not receipt.message:
        return b""
    # The messages of the other signals have the same fields under the same numbers.
    return ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(
            rejected_spans=receipt.rejected, error_message=receipt.message
        )
    ).SerializeToString()
