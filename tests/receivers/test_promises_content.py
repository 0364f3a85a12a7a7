"""What OTLP promises of the content: promises 14 to 18 and 23."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from receivers.clients import JSON, Client
from receivers.otlp_requests import NOW_NS, good_body, request, span
from receivers.receiver_pipeline import PipelineFactory, ReceiverPipeline
from spanmill.spans.batch import SpanBatch

TRACE_ID = "5B8EFFF798038103D269B633813FC60C"
SPAN_ID = "EEE19B7EC3C1B174"
PROTOBUF_TRANSPORTS = pytest.mark.parametrize("transport", ["grpc", "http-protobuf"])


def as_json(**fields: Any) -> bytes:
    """A JSON request of one span, with these of its fields replaced or added."""
    one = {
        "traceId": TRACE_ID,
        "spanId": SPAN_ID,
        "name": "GET /",
        "kind": 2,
        "startTimeUnixNano": str(NOW_NS),
        "endTimeUnixNano": str(NOW_NS + 1000),
        **fields,
    }
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [one]}]}]}).encode()


def taken_from_json(pipeline: ReceiverPipeline, body: bytes) -> SpanBatch:
    answer = pipeline.http_client(JSON).send_encoded(body, {})
    assert answer.ok, answer
    return pipeline.batches[-1]


@pytest.mark.parametrize("written", [TRACE_ID, TRACE_ID.lower(), TRACE_ID.swapcase()])
def test_promise_14_ids_in_json_are_hex_in_any_case(
    pipeline: ReceiverPipeline, written: str
) -> None:
    batch = taken_from_json(pipeline, as_json(traceId=written, parentSpanId=SPAN_ID.lower()))

    assert batch.trace_id[0].tobytes().hex().upper() == TRACE_ID
    assert batch.span_id[0].tobytes().hex().upper() == SPAN_ID
    assert batch.parent_id[0].tobytes().hex().upper() == SPAN_ID


def test_promise_14_enums_in_json_are_integers(pipeline: ReceiverPipeline) -> None:
    batch = taken_from_json(pipeline, as_json(kind=3, status={"code": 2}))

    assert (batch.kind[0], batch.status[0]) == (3, 2)


@pytest.mark.parametrize("written", [NOW_NS + 7, str(NOW_NS + 7)], ids=["number", "string"])
def test_promise_14_long_integers_in_json_are_strings_or_numbers(
    pipeline: ReceiverPipeline, written: int | str
) -> None:
    batch = taken_from_json(pipeline, as_json(endTimeUnixNano=written))

    assert batch.duration[0] == 7


def test_promise_14_names_in_json_are_lower_camel_case_only(pipeline: ReceiverPipeline) -> None:
    batch = taken_from_json(pipeline, as_json(end_time_unix_nano=NOW_NS + 7, kind=2))

    assert batch.duration[0] == 1000


def test_promise_14_unknown_fields_in_json_are_ignored(pipeline: ReceiverPipeline) -> None:
    batch = taken_from_json(pipeline, as_json(tomorrow={"of": ["a", {"later": 1}]}, flags=1))

    assert batch.name.value(0) == "GET /"


def with_unknown_field(message: bytes) -> bytes:
    """Field 999 of the request, with some bytes."""
    return message + bytes.fromhex("ba3e05") + b"later"


@PROTOBUF_TRANSPORTS
def test_promise_15_unknown_fields_in_protobuf_are_ignored_and_go_on(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    unknown_in_span = Span.FromString(with_unknown_field(span().SerializeToString()))
    body = with_unknown_field(request(unknown_in_span).SerializeToString())

    answer = client.send(body)

    assert answer.ok
    assert not answer.message
    assert pipeline.payload == body
    assert pipeline.payload.count(b"later") == 2


def values() -> dict[str, AnyValue]:
    nested = KeyValueList(values=[KeyValue(key="k", value=AnyValue(int_value=1))])
    array = ArrayValue(values=[AnyValue(string_value="a"), AnyValue(kvlist_value=nested)])
    return {
        "string": AnyValue(string_value="naïve\n"),
        "bool": AnyValue(bool_value=False),
        "int": AnyValue(int_value=-(2**63)),
        "double": AnyValue(double_value=2.5),
        "bytes": AnyValue(bytes_value=b"\x00\xff"),
        "array": AnyValue(array_value=array),
        "kvlist": AnyValue(kvlist_value=nested),
        "nested": AnyValue(array_value=ArrayValue(values=[AnyValue(array_value=array)])),
        "empty": AnyValue(),
    }


def test_promise_16_every_type_of_attribute_is_read_and_goes_on(
    start_pipeline: PipelineFactory, transport: str
) -> None:
    pipeline = start_pipeline(attributes=tuple(values()))
    attributes = [KeyValue(key=key, value=value) for key, value in values().items()]
    sent = request(span(attributes=attributes))

    assert pipeline.client(transport).send(sent.SerializeToString()).ok

    batch = pipeline.batches[0]
    inner: tuple[Any, ...] = ("a", {"k": 1})
    assert {key: batch.attributes[key].value(0) for key in values()} == {
        "string": "naïve\n",
        "bool": False,
        "int": -(2**63),
        "double": 2.5,
        "bytes": b"\x00\xff",
        "array": inner,
        "kvlist": {"k": 1},
        "nested": (inner,),
        "empty": None,
    }
    assert ExportTraceServiceRequest.FromString(pipeline.payload) == sent


BAD_IDS = {
    "no trace id": {"trace_id": b""},
    "7 byte trace id": {"trace_id": b"1234567"},
    "15 byte trace id": {"trace_id": b"1" * 15},
    "17 byte trace id": {"trace_id": b"1" * 17},
    "32 byte trace id": {"trace_id": b"1" * 32},
    "zero trace id": {"trace_id": bytes(16)},
    "no span id": {"span_id": b""},
    "7 byte span id": {"span_id": b"1234567"},
    "9 byte span id": {"span_id": b"123456789"},
    "16 byte span id": {"span_id": b"1" * 16},
    "zero span id": {"span_id": bytes(8)},
}


@pytest.mark.parametrize("ids", BAD_IDS.values(), ids=BAD_IDS)
def test_promise_17_a_span_with_a_bad_id_is_cut_out_alone(
    pipeline: ReceiverPipeline, client: Client, ids: dict[str, bytes]
) -> None:
    before, after = span("before", 1), span("after", 3)

    answer = client.send(request(before, span("bad", 2, **ids), after).SerializeToString())

    assert answer.ok
    assert answer.rejected == 1
    sent_on = ExportTraceServiceRequest.FromString(pipeline.payload)
    assert sent_on == request(before, after)
    assert len(pipeline.batches[0]) == 2


@PROTOBUF_TRANSPORTS
def test_promise_18_spans_in_the_field_that_scopes_had_before_are_read(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    current = ExportTraceServiceRequest.FromString(good_body(spans=2))
    scope_spans = current.resource_spans[0].scope_spans[0].SerializeToString()
    library_spans = bytes.fromhex("c23e") + varint(len(scope_spans)) + scope_spans  # field 1000
    body = b"\x0a" + varint(len(library_spans)) + library_spans

    answer = client.send(body)

    assert answer.ok
    assert pipeline.spans("accepted") == 2
    assert pipeline.payload == body


def varint(value: int) -> bytes:
    """A length of at most two bytes."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128, value >> 7])


@PROTOBUF_TRANSPORTS
def test_promise_23_what_goes_on_is_what_was_received_byte_for_byte(
    pipeline: ReceiverPipeline, client: Client, astronomy_requests: list[bytes]
) -> None:
    bodies = [with_unknown_field(body) for body in astronomy_requests[:40]]

    for number, body in enumerate(bodies):
        assert client.send(body, compressed=bool(number % 2)).ok

    assert pipeline.payload == b"".join(bodies)


def test_promise_23_json_becomes_the_protobuf_that_means_the_same(
    pipeline: ReceiverPipeline, astronomy_requests: list[bytes]
) -> None:
    client = pipeline.client("http-json")
    expected = ExportTraceServiceRequest()
    for body in sorted(astronomy_requests, key=len)[:10]:
        assert client.send(body).ok
        expected.MergeFromString(body)

    assert ExportTraceServiceRequest.FromString(pipeline.payload) == expected


@PROTOBUF_TRANSPORTS
def test_promise_23_every_byte_around_a_rejected_span_stays(
    pipeline: ReceiverPipeline, client: Client, astronomy_requests: list[bytes]
) -> None:
    good = astronomy_requests[0]
    with_bad = ExportTraceServiceRequest.FromString(good)
    with_bad.resource_spans[0].scope_spans[0].spans.append(span("bad", trace_id=b"1"))

    answer = client.send(with_unknown_field(with_bad.SerializeToString()))

    assert answer.rejected == 1
    expected = ExportTraceServiceRequest.FromString(good).SerializeToString()
    assert pipeline.payload == with_unknown_field(expected)
