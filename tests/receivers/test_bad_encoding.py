"""Bodies that are no request, or barely one: a clear answer, and nobody else notices."""

from __future__ import annotations

import random

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from receivers.clients import JSON, Client
from receivers.receiver_pipeline import ReceiverPipeline
from receivers.sent_signals import BOTH_SIGNALS, SentSignal
from spans.generated import field, group, varint

pytestmark = pytest.mark.usefixtures("neighbours")

PROTOBUF_TRANSPORTS = pytest.mark.parametrize("transport", ["grpc", "http-protobuf"])


def assert_as_the_library(client: Client, signal: SentSignal, body: bytes) -> bool:
    """What the protobuf library reads is taken, what it refuses is undecodable."""
    try:
        signal.request.FromString(body)
    except DecodeError:
        assert client.send(body).undecodable, body.hex()
        return False
    assert client.send(body).ok, body.hex()
    return True


@PROTOBUF_TRANSPORTS
@BOTH_SIGNALS
def test_bad_input_01_random_bytes(client: Client, signal: SentSignal) -> None:
    rng = random.Random(1)
    for length in range(1, 200):
        assert_as_the_library(client, signal, rng.randbytes(length))


@PROTOBUF_TRANSPORTS
@BOTH_SIGNALS
def test_bad_input_02_every_prefix_of_a_request(client: Client, signal: SentSignal) -> None:
    body = signal.good(2)
    for length in range(len(body)):
        assert_as_the_library(client, signal, body[:length])


@PROTOBUF_TRANSPORTS
@BOTH_SIGNALS
def test_bad_input_03_bit_flips(client: Client, signal: SentSignal) -> None:
    body = signal.good(2)
    for bit in random.Random(3).sample(range(len(body) * 8), 300):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        assert_as_the_library(client, signal, bytes(flipped))


@PROTOBUF_TRANSPORTS
@BOTH_SIGNALS
def test_bad_input_04_a_length_that_runs_past_the_end(client: Client, signal: SentSignal) -> None:
    too_long = b"\x2a\x7fname"
    for body in (
        b"\x0a\x7f",
        b"\x0a\xff\xff\xff\xff\x07",
        signal.good(1) + b"\x0a\x01",
        field(1, field(2, b"\x12\x7f")),
        field(1, field(2, b"\x12\x7f") + bytes(200)),
        signal.in_item(too_long),
        signal.in_item(too_long) + signal.good(1),
    ):
        assert not assert_as_the_library(client, signal, body)


@PROTOBUF_TRANSPORTS
@BOTH_SIGNALS
def test_bad_input_05_a_varint_of_eleven_bytes(client: Client, signal: SentSignal) -> None:
    flags, kind, ten, eleven = b"\x78", b"\x30", b"\xff" * 9 + b"\x01", b"\xff" * 10 + b"\x01"
    for body in (
        b"\x0a" + b"\x80" * 10 + b"\x00",
        b"\x80" * 10 + b"\x00",
        signal.in_item(kind + eleven),
        flags + eleven,
    ):
        assert not assert_as_the_library(client, signal, body)
    assert assert_as_the_library(client, signal, signal.in_item(kind + ten))


@PROTOBUF_TRANSPORTS
@BOTH_SIGNALS
def test_bad_input_06_a_field_of_number_0(client: Client, signal: SentSignal) -> None:
    for of_number_0 in (b"\x00\x01", b"\x01" + bytes(8), b"\x02\x00", b"\x05" + bytes(4)):
        for body in (
            of_number_0,
            signal.good(1) + of_number_0,
            field(1, of_number_0),
            field(1, field(2, of_number_0)),
            signal.in_item(of_number_0),
        ):
            assert not assert_as_the_library(client, signal, body)


@PROTOBUF_TRANSPORTS
@BOTH_SIGNALS
def test_bad_input_07_groups_are_passed_over_where_they_end(
    pipeline: ReceiverPipeline, client: Client, signal: SentSignal
) -> None:
    number = b"\x08\x01"
    bodies = [
        group(1, number) + signal.good(1),
        group(1000, group(3, group(2, b"\x0a\x02hi"))) + signal.good(1),
        field(1, group(2, number)) + signal.good(1),
        field(1, field(2, group(2, number))) + signal.good(1),
        signal.in_item(group(5, number) + group(9, number)),
    ]
    for body in bodies:
        before = pipeline.items(signal.name, "accepted")
        assert assert_as_the_library(client, signal, body)
        assert pipeline.records[-1].entry.payload == body
        assert pipeline.items(signal.name, "accepted") == before + 1


@PROTOBUF_TRANSPORTS
@BOTH_SIGNALS
def test_bad_input_07_groups_without_their_end_are_undecodable(
    client: Client, signal: SentSignal
) -> None:
    begin, end, other_end = varint(3 << 3 | 3), varint(3 << 3 | 4), varint(4 << 3 | 4)
    for broken in (begin, end, begin + other_end, begin * 10_000 + end * 10_000):
        for body in (signal.good(1) + broken, field(1, broken), signal.in_item(broken)):
            assert not assert_as_the_library(client, signal, body)
    assert not assert_as_the_library(client, signal, field(1, begin) + end)


@PROTOBUF_TRANSPORTS
@BOTH_SIGNALS
def test_bad_input_08_a_wrong_wire_type_for_a_known_field(
    client: Client, signal: SentSignal
) -> None:
    as_number = b"\x08\x01"  # resource_spans, field 1, as a varint: an unknown field by its type
    assert_as_the_library(client, signal, as_number)
    assert_as_the_library(client, signal, as_number + signal.good(1))


def nested(signal: SentSignal, levels: int) -> bytes:
    """A request with an attribute of kvlists in kvlists, this deep."""
    value = AnyValue(string_value="deep").SerializeToString()
    for _ in range(levels):
        pair = b"\x0a\x01k" + field(2, value)
        value = field(6, field(1, pair))
    return signal.in_item(field(signal.attributes, b"\x0a\x01k" + field(2, value)))


@PROTOBUF_TRANSPORTS
@BOTH_SIGNALS
def test_bad_input_09_attributes_nested_ten_thousand_deep(
    client: Client, signal: SentSignal
) -> None:
    assert client.send(nested(signal, 10)).ok
    assert client.send(nested(signal, 10_000)).undecodable


@BOTH_SIGNALS
def test_bad_input_09_json_nested_ten_thousand_deep(
    pipeline: ReceiverPipeline, signal: SentSignal
) -> None:
    value = '{"kvlistValue":{"values":[{"key":"k","value":' * 10_000 + "{}" + "}]}}" * 10_000
    attribute = '{"resource":{"attributes":[{"key":"k","value":' + value + "}]}}"
    resources = "resourceSpans" if signal.name == "traces" else "resourceMetrics"
    body = f'{{"{resources}":[{attribute}]}}'.encode()

    assert pipeline.http_client(JSON, signal).send_encoded(body, {}).undecodable


@PROTOBUF_TRANSPORTS
@pytest.mark.parametrize("place", [b"a name", b"a key", b"a value"])
@BOTH_SIGNALS
def test_bad_input_10_invalid_utf_8(client: Client, place: bytes, signal: SentSignal) -> None:
    assert signal.labelled.count(place) == 1
    assert client.send(signal.labelled.replace(place, b"\xff" * len(place))).undecodable


@pytest.mark.parametrize("place", [b"a name", b"a key", b"a value"])
@BOTH_SIGNALS
def test_bad_input_10_invalid_utf_8_in_json(
    pipeline: ReceiverPipeline, place: bytes, signal: SentSignal
) -> None:
    body = signal.to_json(signal.labelled)
    assert body.count(place) == 1

    answer = pipeline.http_client(JSON, signal).send_encoded(body.replace(place, b"\xff"), {})

    assert answer.undecodable
