"""Batches of spans that carry numbers, so that each one can be looked for by its own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

NAMES: Final = ("browse", "checkout", "pay", "ship", "search")
"""Names without numbers, which normalisation leaves as they are."""
_ERROR_EVERY: Final = 7
_MILLISECOND: Final = 1_000_000

LabelSet = tuple[str, str, str]
"""service, span_name and status_code of a span, as the calls are counted."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A serialised request whose spans have the numbers `first` … `first + spans - 1`."""

    first: int
    spans: int
    body: bytes
    calls: Counter[LabelSet]


class Numbers:
    """Hands out numbers from 0, each once, to any thread; `made` counts the calls to expect."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0
        self.calls: Counter[LabelSet] = Counter()

    @property
    def given(self) -> int:
        """How many numbers are out."""
        return self._next

    def batch(self, service: str, spans: int, now_ns: int) -> Batch:
        """The next `spans` numbers as a request of this service; the spans end at `now_ns`."""
        with self._lock:
            first = self._next
            self._next += spans
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = service
        scope = resource.scope_spans.add()
        calls: Counter[LabelSet] = Counter()
        trace_id = (first + 1).to_bytes(16)
        for number in range(first, first + spans):
            failed = number % _ERROR_EVERY == 0
            name = NAMES[number % len(NAMES)]
            span = scope.spans.add(
                trace_id=trace_id,
                span_id=(number + 1).to_bytes(8),
                name=name,
                kind=Span.SPAN_KIND_SERVER,
                start_time_unix_nano=now_ns - (1 + number % 50) * _MILLISECOND,
                end_time_unix_nano=now_ns,
            )
            if failed:
                span.status.code = Status.STATUS_CODE_ERROR
            status = "STATUS_CODE_ERROR" if failed else "STATUS_CODE_UNSET"
            calls[service, name, status] += 1
        with self._lock:
            self.calls += calls
        return Batch(first, spans, request.SerializeToString(), calls)


def numbers_in(body: bytes) -> Iterator[int]:
    """The numbers of the spans in a request, in its order."""
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield int.from_bytes(span.span_id) - 1
