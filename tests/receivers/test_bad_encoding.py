"""Bodies that are no request, or barely one: a clear answer, and nobody else notices."""

from __future__ import annotations

import json
import random

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from receivers.clients import JSON, Client
from receivers.otlp_requests import good_body, request, span
from receivers.receiver_pipeline import ReceiverPipeline
from spans.generated import field, group, varint

pytestmark = pytest.mark.usefixtures("neighbours")

PROTOBUF_TRANSPORTS = pytest.mark.parametrize("transport", ["grpc", "http-protobuf"])


def in_span(content: bytes) -> bytes:
    """A request with one valid span that has these bytes too."""
    return field(1, field(2, field(2, span().SerializeToString() + content)))


def assert_as_the_library(client: Client, body: bytes) -> bool:
    """What the protobuf library reads is taken, what it refuses is undecodable."""
    try:
        ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        assert client.send(body).undecodable, body.hex()
        return False
    assert client.send(body).ok, body.hex()
    return True


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
def test_bad_input_04_a_length_that_runs_past_the_end(client: Client) -> None:
    too_long = b"\x2a\x7fname"
    for body in (
        b"\x0a\x7f",
        b"\x0a\xff\xff\xff\xff\x07",
        good_body() + b"\x0a\x01",
        field(1, field(2, b"\x12\x7f")),
        field(1, field(2, b"\x12\x7f") + bytes(200)),
        in_span(too_long),
        in_span(too_long) + good_body(),
    ):
        assert not assert_as_the_library(client, body)


@PROTOBUF_TRANSPORTS
def test_bad_input_05_a_varint_of_eleven_bytes(client: Client) -> None:
    flags, kind, ten, eleven = b"\x78", b"\x30", b"\xff" * 9 + b"\x01", b"\xff" * 10 + b"\x01"
    for body in (
        b"\x0a" + b"\x80" * 10 + b"\x00",
        b"\x80" * 10 + b"\x00",
        in_span(kind + eleven),
        flags + eleven,
    ):
        assert not assert_as_the_library(client, body)
    assert assert_as_the_library(client, in_span(kind + ten))


@PROTOBUF_TRANSPORTS
def test_bad_input_06_a_field_of_number_0(client: Client) -> None:
    for of_number_0 in (b"\x00\x01", b"\x01" + bytes(8), b"\x02\x00", b"\x05" + bytes(4)):
        for body in (
            of_number_0,
            good_body() + of_number_0,
            field(1, of_number_0),
            field(1, field(2, of_number_0)),
            in_span(of_number_0),
        ):
            assert not assert_as_the_library(client, body)


@PROTOBUF_TRANSPORTS
def test_bad_input_07_groups_are_passed_over_where_they_end(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    number = b"\x08\x01"
    bodies = [
        group(1, number) + good_body(),
        group(1000, group(3, group(2, b"\x0a\x02hi"))) + good_body(),
        field(1, group(2, number)) + good_body(),
        field(1, field(2, group(2, number))) + good_body(),
        in_span(group(5, number) + group(9, number)),
    ]
    for body in bodies:
        before = pipeline.spans("accepted")
        assert assert_as_the_library(client, body)
        assert pipeline.records[-1].entry.payload == body
        assert pipeline.spans("accepted") == before + 1


@PROTOBUF_TRANSPORTS
def test_bad_input_07_groups_without_their_end_are_undecodable(client: Client) -> None:
    begin, end, other_end = varint(3 << 3 | 3), varint(3 << 3 | 4), varint(4 << 3 | 4)
    for broken in (begin, end, begin + other_end, begin * 10_000 + end * 10_000):
        for body in (good_body() + broken, field(1, broken), in_span(broken)):
            assert not assert_as_the_library(client, body)
    assert not assert_as_the_library(client, field(1, begin) + end)


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
    return in_span(field(9, b"\x0a\x01k" + field(2, value)))


@PROTOBUF_TRANSPORTS
def test_bad_input_09_attributes_nested_ten_thousand_deep(client: Client) -> None:
    assert client.send(nested(10)).ok
    assert client.send(nested(10_000)).undecodable


def test_bad_input_09_json_nested_ten_thousand_deep(pipeline: ReceiverPipeline) -> None:
    value = '{"kvlistValue":{"values":[{"key":"k","value":' * 10_000 + "{}" + "}]}}" * 10_000
    attribute = '{"resource":{"attributes":[{"key":"k","value":' + value + "}]}}"
    body = ('{"resourceSpans":[' + attribute + "]}").encode()

    assert pipeline.http_client(JSON).send_encoded(body, {}).undecodable


@PROTOBUF_TRANSPORTS
@pytest.mark.parametrize("place", [b"a name", b"a key", b"a value"])
def test_bad_input_10_invalid_utf_8(client: Client, place: bytes) -> None:
    attribute = KeyValue(key="a key", value=AnyValue(string_value="a value"))
    body = request(span("a name", attributes=[attribute])).SerializeToString()

    assert client.send(body.replace(place, b"\xff" * len(place))).undecodable


@pytest.mark.parametrize("place", [b"a name", b"a key", b"a value"])
def test_bad_input_10_invalid_utf_8_in_json(pipeline: ReceiverPipeline, place: bytes) -> None:
    attribute = {"key": "a key", "value": {"stringValue": "a value"}}
    one = {"name": "a name", "attributes": [attribute]}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [one]}]}]}).encode()

    answer = pipeline.http_client(JSON).send_encoded(body.replace(place, b"\xff"), {})

    assert answer.undecodable
