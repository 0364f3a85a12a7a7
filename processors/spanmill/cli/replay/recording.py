"""A recording of requests, and one pass through it with new times and new ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanmill.errors import StartError
from spanmill.spans.framed import read_framed
from spanmill.spans.rewrite import IdMask, regroup, shift_request


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of recorded requests, read through once: its spans and when the newest ended."""

    path: Path
    spans: int
    newest_end_ns: int

    @classmethod
    def open(cls, path: Path) -> Recording:
        """Read the whole file; StartError unless it can be replayed to its end."""
        if path.exists() and not path.is_file():
            raise StartError(f"{path} is not a regular file, which every pass could read anew")
        spans = newest = 0
        for request in _requests(path):
            for resource_spans in request.resource_spans:
                for scope_spans in resource_spans.scope_spans:
                    spans += len(scope_spans.spans)
                    ends = (span.end_time_unix_nano for span in scope_spans.spans)
                    newest = max(newest, max(ends, default=0))
        if not spans:
            raise StartError(f"{path} holds no spans")
        return cls(path, spans, newest)

    def replayed(
        self, now_ns: int, id_mask: IdMask, batch_size: int | None
    ) -> Iterator[tuple[bytes, int]]:
        """One pass: serialised requests and their spans; the newest of the pass ends now.

        Requests are as they were recorded, or of `batch_size` spans.
        """
        shift = now_ns - self.newest_end_ns
        requests = _requests(self.path)
        if batch_size is not None:
            requests = regroup(requests, batch_size)
        for request in requests:
            shift_request(request, shift, id_mask)
            spans = sum(
                len(scope_spans.spans)
                for resource_spans in request.resource_spans
                for scope_spans in resource_spans.scope_spans
            )
            yield request.SerializeToString(), spans


def _requests(path: Path) -> Iterator[ExportTraceServiceRequest]:
    for number, message in enumerate(read_framed(path), 1):
        try:
            yield ExportTraceServiceRequest.FromString(message)
        except DecodeError as error:
            raise StartError(
                f"{path}: message {number} is not an ExportTraceServiceRequest: {error}"
            ) from error
