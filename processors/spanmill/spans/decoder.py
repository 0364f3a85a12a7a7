"""What a decoder promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from spanmill.spans.batch import SpanBatch

REJECTION_REASONS: Final[Mapping[str, str]] = {
    "invalid_trace_id": "the trace id must be 16 bytes, not all zero",
    "invalid_span_id": "the span id must be 8 bytes, not all zero",
}
"""Why a span is rejected alone: the reason as metrics name it, and as clients are told."""


@dataclass(frozen=True, slots=True)
class DecodedRequest:
    """The accepted spans of a request, and how many were rejected for which reason.

    The reasons are keys of REJECTION_REASONS.
    """

    batch: SpanBatch
    rejected: Mapping[str, int]

    @property
    def rejected_spans(self) -> int:
        """How many spans were rejected in all."""
        return sum(self.rejected.values())


class Decoder(Protocol):
    """Turns the bytes of an `ExportTraceServiceRequest` into columns.

    A decoder is safe to call from many threads at once. It accepts what the protobuf library
    accepts, with the same result, and then rejects single spans whose trace id is not 16 bytes
    or whose span id is not 8 bytes, or where either is all zero; their bytes are cut out of the
    batch's payload.
    """

    @property
    def kind(self) -> Literal["compiled", "reference"]:
        """Which implementation this is, as `spanmill_decoder_info` names it."""
        ...

    @property
    def irregular_requests(self) -> int:
        """How many requests it has left to the reference; they cost what the reference costs."""
        ...

    def decode(self, body: bytes) -> DecodedRequest:
        """Decode one request; raises UndecodableError where the protobuf library would."""
        ...
