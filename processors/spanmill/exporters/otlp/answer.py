"""The messages that a destination answers with, read alike for HTTP and gRPC."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanmill.exporters.otlp.sender import Delivered

_LONGEST_TEXT: Final = 300
"""Characters of a destination's text that go into a log line."""


def read_success(body: bytes) -> Delivered:
    """What a success says: how many items were rejected nevertheless, or a warning.

    An `ExportMetricsServiceResponse` has the same fields, `rejected_data_points` for spans.
    """
    try:
        partial = ExportTraceServiceResponse.FromString(body).partial_success
    except DecodeError:
        return Delivered(unreadable=True)
    return Delivered(max(partial.rejected_spans, 0), shorten(partial.error_message))


def read_status(body: bytes) -> str:
    """The message of a `google.rpc.Status`, or the body itself where it is plain text."""
    try:
        message = Status.FromString(body).message
    except DecodeError:
        message = ""
    return shorten(message or body.decode("utf-8", "replace"))


def shorten(text: str) -> str:
    """One printable line of a length that suits a log."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 1] + "…"
