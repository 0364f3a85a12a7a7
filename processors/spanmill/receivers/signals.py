"""The signals that are taken, and what differs between them; all else is the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from spanmill.journal.log import Signal
from spanmill.points.decoder import (
    POINT_REJECTION_REASONS,
    decode_metrics,
    point_warnings,
)
from spanmill.points.otlp_json import json_to_protobuf as metrics_json_to_protobuf
from spanmill.spans.batch import SpanBatch
from spanmill.spans.decoder import REJECTION_REASONS, Decoder
from spanmill.spans.otlp_json import json_to_protobuf as traces_json_to_protobuf


class Items(Protocol):
    """The accepted items of a request."""

    @property
    def payload(self) -> bytes:
        """The request with these items and no others."""
        ...

    def __len__(self) -> int: ...


class Decoded(Protocol):
    """What a request decodes to."""

    @property
    def batch(self) -> Items:
        """What is accepted."""
        ...

    @property
    def rejected(self) -> Mapping[str, int]:
        """How many items are rejected, by reason."""
        ...


@dataclass(frozen=True, slots=True)
class TakenSignal:
    """A signal as receivers take it.

    `path` is that of OTLP/HTTP and `service` that of OTLP/gRPC. `from_json` makes OTLP's JSON
    protobuf; `decode` reads protobuf, and says what a client should know of items that were
    taken all the same. `reasons` explains why items are rejected, `rejected_field` names them in
    the JSON of a partial success.
    """

    signal: Signal
    path: bytes
    service: str
    item: str
    rejected_field: str
    from_json: Callable[[bytes], bytes]
    decode: Callable[[bytes], tuple[Decoded, Sequence[str]]]
    reasons: Mapping[str, str]


def taken_traces(decoder: Decoder) -> TakenSignal:
    """Traces, read by this decoder."""

    def decode(body: bytes) -> tuple[Decoded, Sequence[str]]:
        decoded = decoder.decode(body)
        return decoded, span_warnings(decoded.batch)

    return TakenSignal(
        signal=Signal.TRACES,
        path=b"/v1/traces",
        service="opentelemetry.proto.collector.trace.v1.TraceService",
        item="span",
        rejected_field="rejectedSpans",
        from_json=traces_json_to_protobuf,
        decode=decode,
        reasons=REJECTION_REASONS,
    )


def _decode_metrics(body: bytes) -> tuple[Decoded, Sequence[str]]:
    decoded = decode_metrics(body)
    return decoded, point_warnings(decoded.batch)


TAKEN_METRICS: Final = TakenSignal(
    signal=Signal.METRICS,
    path=b"/v1/metrics",
    service="opentelemetry.proto.collector.metrics.v1.MetricsService",
    item="data point",
    rejected_field="rejectedDataPoints",
    from_json=metrics_json_to_protobuf,
    decode=_decode_metrics,
    reasons=POINT_REJECTION_REASONS,
)


def span_warnings(batch: SpanBatch) -> list[str]:
    """What a client should know of spans that were taken all the same."""
    backwards = int(np.count_nonzero(batch.end < batch.start))
    if not backwards:
        return []
    spans = counted(backwards, "span")
    return [f"{spans} accepted with a duration of 0: the end is before the start"]


def counted(number: int, item: str) -> str:
    """A number of items in words."""
    return f"{number} {item}" if number == 1 else f"{number} {item}s"
