"""`spanmill journal show`: one record, readable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from spanmill.cli.journal.otlp_json import parse
from spanmill.journal.dead_letters import DeadLetter
from spanmill.journal.log import Signal
from spanmill.journal.stored import StoredRecord


def show_record(record: StoredRecord) -> Iterator[str]:
    """A record's header, and what is in it."""
    yield f"position   {record.position}"
    yield f"arrived    {_time(record.arrival_ns)}"
    yield f"signal     {record.signal.value}{' (a duplicate)' if record.duplicate else ''}"
    yield f"source     {record.source or '-'}"
    yield f"items      {record.items}"
    for reason, items in record.rejected.items():
        yield f"rejected   {items} {reason}"
    if record.key:
        yield f"key        {record.key.hex()}"
    yield f"payload    {record.payload_bytes} bytes"
    if record.payload:
        yield from _contents(record.payload, record.signal)


def show_letter(number: int, letter: DeadLetter) -> Iterator[str]:
    """A dead letter's head, and what is in it."""
    yield f"dead letter  {number}"
    yield f"given up     {_time(letter.time_ns)}"
    yield f"destination  {letter.destination}"
    yield f"reason       {letter.reason}"
    yield f"signal       {letter.signal.value}"
    yield f"items        {letter.items}"
    yield f"payload      {len(letter.payload)} bytes"
    yield from _contents(letter.payload, letter.signal)


def _contents(payload: bytes, signal: Signal) -> Iterator[str]:
    request = parse(payload, signal)
    if isinstance(request, ExportTraceServiceRequest):
        for traces in request.resource_spans:
            yield f"\nresource {_attributes(traces.resource.attributes)}"
            for spans in traces.scope_spans:
                yield f"  scope {spans.scope.name or '-'} {spans.scope.version}".rstrip()
                for span in spans.spans:
                    yield from _span(span)
    elif isinstance(request, ExportMetricsServiceRequest):
        for metrics in request.resource_metrics:
            yield f"\nresource {_attributes(metrics.resource.attributes)}"
            for scoped in metrics.scope_metrics:
                yield f"  scope {scoped.scope.name or '-'} {scoped.scope.version}".rstrip()
                for metric in scoped.metrics:
                    kind = metric.WhichOneof("data") or "no data"
                    points = getattr(getattr(metric, kind, None), "data_points", ())
                    yield f"    {metric.name} [{metric.unit}] {kind}, {len(points)} points"


def _span(span: Span) -> Iterator[str]:
    kind = Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower()
    status = Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_").lower()
    milliseconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
    parent = f" parent {span.parent_span_id.hex()}" if span.parent_span_id else ""
    yield (
        f"    {span.trace_id.hex()} {span.span_id.hex()}{parent} "
        f"{_time(span.start_time_unix_nano)} {milliseconds:.3f} ms {kind} {status} {span.name}"
    )
    if span.attributes:
        yield f"      {_attributes(span.attributes)}"


def _attributes(attributes: Iterable[Any]) -> str:
    return " ".join(f"{pair.key}={_value(pair.value)}" for pair in attributes) or "-"


def _value(value: Any) -> str:
    kind = value.WhichOneof("value")
    if kind is None:
        return "-"
    inner = getattr(value, kind)
    if kind == "array_value":
        return "[" + ", ".join(map(_value, inner.values)) + "]"
    if kind == "kvlist_value":
        return "{" + _attributes(inner.values) + "}"
    return inner.hex() if isinstance(inner, bytes) else repr(inner)


def _time(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
    except (OverflowError, ValueError):
        return f"{nanoseconds} ns"
