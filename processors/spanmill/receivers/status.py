"""What a client is told: partial success of what was taken, and the status of what was not."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import grpc
import msgspec
import numpy as np
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from spanmill.errors import (
    TooLargeError,
    TooManyMessagesError,
    UnavailableError,
    UndecodableError,
)
from spanmill.spans.batch import SpanBatch
from spanmill.spans.decoder import REJECTION_REASONS, DecodedRequest

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
    if isinstance(error, TooLargeError | TooManyMessagesError):
        return Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, 413, message)
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


def success_body(decoded: DecodedRequest, encoding: Encoding) -> bytes:
    """An `ExportTraceServiceResponse`: `partial_success` only where there is something to say."""
    message = _explain(decoded.rejected, warnings(decoded.batch))
    if encoding is Encoding.JSON:
        if not message:
            return b"{}"
        # As the JSON mapping of protobuf wants it, a 64-bit integer is a string.
        partial = {"rejectedSpans": str(decoded.rejected_spans), "errorMessage": message}
        return msgspec.json.encode({"partialSuccess": partial})
    if not message:
        return b""
    return ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(
            rejected_spans=decoded.rejected_spans, error_message=message
        )
    ).SerializeToString()


def warnings(batch: SpanBatch) -> list[str]:
    """What a client should know of spans that were taken all the same."""
    backwards = int(np.count_nonzero(batch.end < batch.start))
    if not backwards:
        return []
    return [f"{_spans(backwards)} accepted with a duration of 0: the end is before the start"]


def _explain(rejected: Mapping[str, int], warned: Sequence[str]) -> str:
    told = [
        f"{_spans(count)} rejected: {REJECTION_REASONS[reason]}"
        for reason, count in rejected.items()
        if count
    ]
    return "; ".join([*told, *warned])


def _spans(count: int) -> str:
    return "1 span" if count == 1 else f"{count} spans"
