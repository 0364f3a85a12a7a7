"""What a client is told."""

from __future__ import annotations

import logging

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanmill.errors import TooLargeError, UnavailableError, UndecodableError
from spanmill.receivers.intake import Receipt
from spanmill.receivers.signals import TAKEN_METRICS, TakenSignal, taken_traces
from spanmill.receivers.status import (
    Encoding,
    refusal_body,
    refusal_of,
    status_details,
    success_body,
)
from spanmill.spans.reference import ReferenceDecoder

TRACES = taken_traces(ReferenceDecoder(()))


@pytest.mark.parametrize("taken", [TRACES, TAKEN_METRICS])
def test_full_success_says_nothing(taken: TakenSignal) -> None:
    assert success_body(Receipt(0, ""), taken, Encoding.PROTOBUF) == b""
    assert success_body(Receipt(0, ""), taken, Encoding.JSON) == b"{}"


def test_what_was_rejected_is_said_in_the_signals_message() -> None:
    receipt = Receipt(3, "because")
    spans = ExportTraceServiceResponse.FromString(success_body(receipt, TRACES, Encoding.PROTOBUF))
    assert spans.partial_success.rejected_spans == 3
    assert spans.partial_success.error_message == "because"
    points = ExportMetricsServiceResponse.FromString(
        success_body(receipt, TAKEN_METRICS, Encoding.PROTOBUF)
    )
    assert points.partial_success.rejected_data_points == 3
    assert points.partial_success.error_message == "because"


@pytest.mark.parametrize(
    ("taken", "field"), [(TRACES, b"rejectedSpans"), (TAKEN_METRICS, b"rejectedDataPoints")]
)
def test_in_json_the_number_is_a_string(taken: TakenSignal, field: bytes) -> None:
    assert success_body(Receipt(2, "because"), taken, Encoding.JSON) == (
        b'{"partialSuccess":{"%b":"2","errorMessage":"because"}}' % field
    )


@pytest.mark.parametrize(
    ("error", "code", "http_status"),
    [
        (UndecodableError("no protobuf"), grpc.StatusCode.INVALID_ARGUMENT, 400),
        (TooLargeError(10, "the body"), grpc.StatusCode.RESOURCE_EXHAUSTED, 413),
        (UnavailableError("full", 2.0), grpc.StatusCode.UNAVAILABLE, 503),
    ],
)
def test_each_error_has_its_code(error: Exception, code: grpc.StatusCode, http_status: int) -> None:
    refusal = refusal_of(error)

    assert (refusal.code, refusal.http_status) == (code, http_status)
    assert refusal.message == str(error)


def test_only_what_may_be_sent_again_has_retry_info() -> None:
    for error in (UndecodableError("no"), TooLargeError(10, "the body"), ValueError("a fault")):
        refusal = refusal_of(error)
        assert refusal.retry_after_header is None
        assert not status_pb2.Status.FromString(status_details(refusal)).details


@pytest.mark.parametrize(
    ("seconds", "header"), [(0.0, b"1"), (0.2, b"1"), (1.0, b"1"), (1.1, b"2"), (30.0, b"30")]
)
def test_retry_after_is_exact_over_grpc_and_rounded_up_over_http(
    seconds: float, header: bytes
) -> None:
    refusal = refusal_of(UnavailableError("full", seconds))

    assert refusal.retry_after_header == header
    status = status_pb2.Status.FromString(status_details(refusal))
    retry_info = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(retry_info)
    assert retry_info.retry_delay.ToNanoseconds() == round(seconds * 1e9)


def test_a_fault_of_ours_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        refusal = refusal_of(ValueError("a secret of the implementation"))

    assert (refusal.code, refusal.http_status) == (grpc.StatusCode.INTERNAL, 500)
    assert "secret" not in refusal.message
    assert "secret" in caplog.text


def test_a_long_message_fits_into_a_clients_metadata() -> None:
    refusal = refusal_of(UndecodableError("é" * 100_000))

    assert len(status_details(refusal)) < 4096
    assert len(refusal_body(refusal, Encoding.JSON)) < 4096
