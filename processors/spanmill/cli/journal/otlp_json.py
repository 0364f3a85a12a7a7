"""Stored requests as OTLP's JSON: one line each, as the Collector's file exporter writes them."""

from __future__ import annotations

import base64
from typing import Any, Final

import msgspec
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanmill.errors import JournalError
from spanmill.journal.log import Signal

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})


def parse(payload: bytes, signal: Signal) -> Message:
    """The request in these bytes; JournalError where they are none."""
    try:
        if signal is Signal.METRICS:
            return ExportMetricsServiceRequest.FromString(payload)
        return ExportTraceServiceRequest.FromString(payload)
    except DecodeError as error:
        raise JournalError(f"a record is no request of {signal.value}: {error}") from error


def to_json(payload: bytes, signal: Signal) -> bytes:
    """One line without its end: ids in hexadecimal, enums as numbers, as OTLP has them."""
    fields = MessageToDict(parse(payload, signal), use_integers_for_enums=True)
    _write_ids(fields)
    return msgspec.json.encode(fields)


def _write_ids(value: Any) -> None:
    """The library writes bytes as base64; only names of fields are keys here, never attributes."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _IDS and isinstance(inner, str):
                value[key] = base64.b64decode(inner).hex()
            else:
                _write_ids(inner)
    elif isinstance(value, list):
        for inner in value:
            _write_ids(inner)
