"""Fakes for tests of processors and of whatever is given a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

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
    """One row of a batch; `duration` is in nanoseconds, `size` in bytes."""

    name: str = "GET /"
    service: AttributeValue = "shop"
    kind: int = 2
    status: int = 0
    duration: int = 5_000_000
    size: int = 100
    weight: float = 1.0
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    resource: Mapping[str, AttributeValue] = field(default_factory=dict)


def batch_of(
    spans: Sequence[Span], attributes: Sequence[str] = (), arrival_ns: int = 10**18
) -> SpanBatch:
    """A batch of these spans with these attribute columns, made without a decoder.

    It has no payload, and every span has the same ids and start.
    """
    count = len(spans)
    start = np.full(count, 10**18, np.uint64)
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
        trace_id=np.ones((count, 16), np.uint8),
        span_id=np.ones((count, 8), np.uint8),
        parent_id=np.zeros((count, 8), np.uint8),
        size=np.array([span.size for span in spans], np.int64),
        weight=np.array([span.weight for span in spans], np.float64),
        span_start=np.zeros(count, np.int64),
        span_length=np.zeros(count, np.int64),
        attributes={key: _column(spans, key) for key in attributes},
        arrival_ns=arrival_ns,
    )


def _column(spans: Sequence[Span], key: str) -> Coded[AttributeValue]:
    codes = [i if key in span.attributes else ABSENT for i, span in enumerate(spans)]
    return Coded(np.array(codes, np.int32), [span.attributes.get(key) for span in spans])
