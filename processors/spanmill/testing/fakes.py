"""Fakes for tests of processors and of whatever is given a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from spanmill.spans.batch import ABSENT, AttributeValue, Coded, Resource, Scope, SpanBatch


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, time_ns: int = 10**18) -> None:
        self._time_ns = time_ns
        self._monotonic = 0.0

    def time_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return self._time_ns

    def monotonic(self) -> float:
        """Seconds on a clock that never steps."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._time_ns += round(seconds * 1e9)
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or NTP would."""
        self._time_ns += round(seconds * 1e9)


@dataclass(frozen=True)
class Span:
    """One row of a batch; `start` and `duration` are in nanoseconds, `size` in bytes."""

    name: str = "GET /"
    service: AttributeValue = "shop"
    kind: int = 2
    status: int = 0
    start: int = 10**18
    duration: int = 5_000_000
    size: int = 100
    weight: float = 1.0
    trace_id: bytes = b"\x01" * 16
    span_id: bytes = b"\x01" * 8
    parent_id: bytes = bytes(8)
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    resource: Mapping[str, AttributeValue] = field(default_factory=dict)


def batch_of(
    spans: Sequence[Span], attributes: Sequence[str] = (), arrival_ns: int = 10**18
) -> SpanBatch:
    """A batch of these spans with these attribute columns, made without a decoder.

    It has no payload: what is read from the spans' bytes isn't there.
    """
    count = len(spans)
    start = np.array([span.start for span in spans], np.uint64)
    duration = np.array([span.duration for span in spans], np.uint64)
    return SpanBatch(
        payload=b"",
        resource=Coded(
            np.arange(count, dtype=np.int32),
            [Resource({"service.name": span.service, **span.resource}) for span in spans],
        ),
        scope=Coded(np.zeros(count, np.int32), [Scope("", "")]),
        name=Coded(np.arange(count, dtype=np.int32), [span.name for span in spans]),
        kind=np.array([span.kind for span in spans], np.uint8),
        status=np.array([span.status for span in spans], np.uint8),
        start=start,
        end=start + duration,
        duration=duration,
        trace_id=_ids([span.trace_id for span in spans], 16),
        span_id=_ids([span.span_id for span in spans], 8),
        parent_id=_ids([span.parent_id for span in spans], 8),
        size=np.array([span.size for span in spans], np.int64),
        weight=np.array([span.weight for span in spans], np.float64),
        span_start=np.zeros(count, np.int64),
        span_length=np.zeros(count, np.int64),
        attributes={key: _column(spans, key) for key in attributes},
        arrival_ns=arrival_ns,
    )


def _ids(ids: Sequence[bytes], width: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(ids), np.uint8).reshape(len(ids), width)


def _column(spans: Sequence[Span], key: str) -> Coded[AttributeValue]:
    codes = [i if key in span.attributes else ABSENT for i, span in enumerate(spans)]
    return Coded(np.array(codes, np.int32), [span.attributes.get(key) for span in spans])
