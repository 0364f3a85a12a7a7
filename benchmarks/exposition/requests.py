"""Requests whose spans make as many label sets as wanted, ten populated buckets each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_OPERATIONS: Final = 500
"""Label sets of one service, whose spans are one request."""
_BUCKETS: Final = 10
"""Classic buckets that each label set has spans in: 2 ms * 2^i up to that of 2 s."""
_MARK: Final = 0x5EED_0000_0000_0000
_BEGIN_NS: Final = 1_700_000_000_000_000_000
_SMALLEST_NS: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Template:
    """A serialised request of one service, and where its spans end: positions of 8 bytes."""

    body: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]

    def with_durations(self, durations: npt.NDArray[np.uint64]) -> bytes:
        """The request with these durations in nanoseconds, uint64 (spans,)."""
        body = self.body.copy()
        moments = (np.uint64(_BEGIN_NS) + durations).astype("<u8").view(np.uint8).reshape(-1, 8)
        body[self.ends[:, np.newaxis] + np.arange(8)] = moments
        return body.tobytes()


def templates(label_sets: int) -> list[Template]:
    """Requests that have a span of each label set: `label_sets` of them, at most 500 in one."""
    return [
        _template(service, min(_OPERATIONS, label_sets - first))
        for service, first in enumerate(range(0, label_sets, _OPERATIONS))
    ]


def requests(found: list[Template], seed: int = 1) -> Iterator[bytes]:
    """Ten passes over all label sets, of a duration in another bucket each; two log-normal ones."""
    random = np.random.default_rng(seed)
    for turn in range(_BUCKETS):
        for template in found:
            within = random.uniform(-0.95, 0, len(template.ends))
            durations = _SMALLEST_NS * 2.0 ** (turn + within)
            yield template.with_durations(durations.astype(np.uint64))
    for _ in range(2):
        for template in found:
            durations = np.exp(random.normal(np.log(50e6), 1, len(template.ends)))
            yield template.with_durations(np.minimum(durations, 1.9e9).astype(np.uint64))


def _template(service: int, spans: int) -> Template:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    for key, value in (
        ("service.name", f"service-{service}"),
        ("service.namespace", "shop"),
        ("service.instance.id", f"{service:032x}"),
    ):
        resource.resource.attributes.add(key=key).value.string_value = value
    scope = resource.scope_spans.add()
    for i in range(spans):
        span = scope.spans.add(
            trace_id=(service * _OPERATIONS + i + 1).to_bytes(16, "big"),
            span_id=(i + 1).to_bytes(8, "big"),
            name=f"GET /api/resource-{_letters(i)}/items",
            kind=2,
            start_time_unix_nano=_BEGIN_NS,
            end_time_unix_nano=_MARK + i,
        )
        span.attributes.add(key="http.route").value.string_value = "/api/items"
    body = request.SerializeToString()
    marks = [(_MARK + i).to_bytes(8, "little") for i in range(spans)]
    ends, position = [], 0
    for mark in marks:
        position = body.index(mark, position)
        ends.append(position)
    return Template(np.frombuffer(body, np.uint8), np.array(ends, np.int64))


def _letters(number: int) -> str:
    """A number without digits, which the normalisation of names would take for an id."""
    text = ""
    while number or not text:
        number, digit = divmod(number, 26)
        text += chr(97 + digit)
    return text
