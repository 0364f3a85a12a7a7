"""Bad content (part B of the OTLP contract): a clear answer, and nobody else notices."""

from __future__ import annotations

import json
import random

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from receivers.clients import JSON, Answer, Client
from receivers.otlp_requests import good_body, request, span
from receivers.receiver_pipeline import ReceiverPipeline

pytestmark = pytest.mark.usefixtures("neighbours")

PROTOBUF_TRANSPORTS = pytest.mark.parametrize("transport", ["grpc", "http-protobuf"])


def is_undecodable(answer: Answer) -> bool:
    return answer.code in ("INVALID_ARGUMENT", 400) and answer.retry_after is None


def assert_as_the_library(client: Client, body: bytes) -> None:
    """What the protobuf library reads is taken, what it refuses is undecodable."""
    try:
        ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        assert is_undecodable(client.send(body)), body.hex()
    else:
        assert client.send(body).ok, body.hex()


@PROTOBUF_TRANSPORTS
def test_bad_input_01_random_bytes(client: Client) -> None:
    rng = random.Random(1)
    for length in range(1, 200):
        assert_as_the_library(client, rng.randbytes(length))


@PROTOBUF_TRANSPORTS
def test_bad_input_02_every_prefix_of_a_request(client: Client) -> None:
    body = good_body(spans=2)
    for length in range(len(body)):
        assert_as_the_library(client, body[:length])


@PROTOBUF_TRANSPORTS
def test_bad_input_03_bit_flips(client: Client) -> None:
    body = good_body(spans=2)
    for bit in random.Random(3).sample(range(len(body) * 8), 300):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        assert_as_the_library(client, bytes(flipped))


@PROTOBUF_TRANSPORTS
def test_bad_input_08_a_wrong_wire_type_for_a_known_field(client: Client) -> None:
    as_number = b"\x08\x01"  # resource_spans, field 1, as a varint: an unknown field by its type
    assert_as_the_library(client, as_number)
    assert_as_the_library(client, as_number + good_body())


def nested(levels: int) -> bytes:
    """A request with an attribute of kvlists in kvlists, this deep."""
    value = AnyValue(string_value="deep").SerializeToString()
    for _ in range(levels):
        pair = b"\x0a\x01k" + field(2, value)
        value = field(6, field(1, pair))
    attribute = field(9, b"\x0a\x01k" + field(2, value))
    return field(1, field(2, field(2, span().SerializeToString() + attribute)))


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    length, encoded = len(content), bytearray([number << 3 | 2])
    while length > 127:
        encoded.append(length & 127 | 128)
        length >>= 7
    return bytes([*encoded, length]) + content


@PROTOBUF_TRANSPORTS
def test_bad_input_09_attributes_nested_ten_thousand_deep(client: Client) -> None:
    assert client.send(nested(10)).ok
    assert is_undecodable(client.send(nested(10_000)))


def test_bad_input_09_json_nested_ten_thousand_deep(pipeline: ReceiverPipeline) -> None:
    value = '{"kvlistValue":{"values":[{"key":"k","value":' * 10_000 + "{}" + "}]}}" * 10_000
    attribute = '{"resource":{"attributes":[{"key":"k","value":' + value + "}]}}"
    body = ('{"resourceSpans":[' + attribute + "]}").encode()

    assert is_undecodable(pipeline.http_client(JSON).send_encoded(body, {}))


@PROTOBUF_TRANSPORTS
@pytest.mark.parametrize("place", [b"a name", b"a key", b"a value"])
def test_bad_input_10_invalid_utf_8(client: Client, place: bytes) -> None:
    attribute = KeyValue(key="a key", value=AnyValue(string_value="a value"))
    body = request(span("a name", attributes=[attribute])).SerializeToString()

    assert is_undecodable(client.send(body.replace(place, b"\xff" * len(place))))


@pytest.mark.parametrize("place", [b"a name", b"a key", b"a value"])
def test_bad_input_10_invalid_utf_8_in_json(pipeline: ReceiverPipeline, place: bytes) -> None:
    attribute = {"key": "a key", "value": {"stringValue": "a value"}}
    one = {"name": "a name", "attributes": [attribute]}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [one]}]}]}).encode()

    answer = pipeline.http_client(JSON).send_encoded(body.replace(place, b"\xff"), {})

    assert is_undecodable(answer)


def test_bad_input_12_a_span_name_of_ten_megabytes(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    name = "x" * 10_000_000

    assert client.send(request(span(name)).SerializeToString()).ok
    assert pipeline.batches[-1].name.value(0) == name


def test_bad_input_13_a_million_attributes_on_one_span(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    if client.transport == "http-json":
        pair = b'{"key":"k","value":{"intValue":1}}'
        one = b'{"traceId":"%s","spanId":"%s","attributes":[%s]}' % (
            b"1" * 32,
            b"1" * 16,
            b",".join([pair] * 1_000_000),
        )
        answer = pipeline.http_client(JSON).send_encoded(
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}' % one, {}
        )
    else:
        attributes = field(9, b"\x0a\x01k\x12\x02\x18\x01") * 1_000_000
        one = span().SerializeToString() + attributes
        answer = client.send(field(1, field(2, field(2, one))))

    assert answer.ok, answer
    assert len(pipeline.batches[-1]) == 1


@PROTOBUF_TRANSPORTS
def test_bad_input_14_a_million_empty_spans(pipeline: ReceiverPipeline, client: Client) -> None:
    sent_before = len(pipeline.payload)

    answer = client.send(field(1, field(2, field(2, b"") * 1_000_000)))

    assert answer.ok
    assert answer.rejected == 1_000_000
    assert pipeline.spans("invalid") == 1_000_000
    assert len(pipeline.payload) - sent_before < 20


TIMES = {
    "1970": (0, 10**9),
    "2100": (4_102_444_800 * 10**9, 4_102_444_801 * 10**9),
    "the last": (2**64 - 1, 2**64 - 1),
    "a duration over 2^53": (1, 2**60),
}


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_bad_input_17_18_times_from_1970_to_the_last_nanosecond(
    pipeline: ReceiverPipeline, client: Client, times: tuple[int, int]
) -> None:
    start, end = times

    answer = client.send(
        request(span(start_time_unix_nano=start, end_time_unix_nano=end)).SerializeToString()
    )

    assert answer.ok
    assert not answer.message
    assert int(pipeline.batches[-1].duration[0]) == end - start


def test_bad_input_19_an_unknown_enum_value(pipeline: ReceiverPipeline, client: Client) -> None:
    unknown = span(kind=99, status=Status(code=77))  # type: ignore[arg-type]  # that is the point

    assert client.send(request(unknown).SerializeToString()).ok
    assert (pipeline.batches[-1].kind[0], pipeline.batches[-1].status[0]) == (0, 0)
    sent_on = ExportTraceServiceRequest.FromString(pipeline.records[-1].entry.payload)
    assert sent_on.resource_spans[0].scope_spans[0].spans[0] == unknown


@pytest.mark.parametrize("length", [0, 7, 15, 17, 32])
def test_bad_input_20_trace_ids_of_another_length(client: Client, length: int) -> None:
    answer = client.send(request(span(trace_id=b"1" * length)).SerializeToString())

    assert answer.ok
    assert answer.rejected == 1
    assert "trace id" in answer.message


SERVICE_NAMES = {
    "none": None,
    "a number": AnyValue(int_value=7),
    "empty": AnyValue(string_value=""),
    "no value": AnyValue(),
}


@pytest.mark.parametrize("name", SERVICE_NAMES.values(), ids=SERVICE_NAMES)
def test_bad_input_23_a_service_without_a_proper_name(
    pipeline: ReceiverPipeline, client: Client, name: AnyValue | None
) -> None:
    message = request(span())
    attributes = message.resource_spans[0].resource.attributes
    del attributes[:]
    if name is not None:
        attributes.append(KeyValue(key="service.name", value=name))

    assert client.send(message.SerializeToString()).ok
    assert len(pipeline.batches[-1]) == 1


def test_bad_input_23_no_resource(pipeline: ReceiverPipeline, client: Client) -> None:
    message = request(span())
    message.resource_spans[0].ClearField("resource")

    assert client.send(message.SerializeToString()).ok
    resource = pipeline.batches[-1].resource.value(0)
    assert resource is not None
    assert resource.attributes == {}
