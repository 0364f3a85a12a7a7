"""OTLP's JSON gives the protobuf that says the same, or a sentence on what is wrong where."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanmill.errors import UndecodableError
from spanmill.spans.otlp_json import json_to_protobuf
from spanmill.spans.reference import ReferenceDecoder
from spans.generated import Request, requests

JsonObject = dict[str, Any]


def otlp_json(request: ExportTraceServiceRequest) -> JsonObject:
    """Protobuf's own JSON, with the exceptions that OTLP makes: hex ids, numbers for enums."""
    document: JsonObject = MessageToDict(request, use_integers_for_enums=True)

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, dict):
            for key, inner in value.items():
                if key in ("traceId", "spanId", "parentSpanId") and isinstance(inner, str):
                    value[key] = base64.b64decode(inner).hex()
                else:
                    walk(inner)

    walk(document)
    return document


def to_json(request: ExportTraceServiceRequest) -> bytes:
    return json.dumps(otlp_json(request)).encode()


def parsed(document: JsonObject | bytes) -> ExportTraceServiceRequest:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return ExportTraceServiceRequest.FromString(json_to_protobuf(body))


def with_span(fields: JsonObject) -> JsonObject:
    return {"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}


def read_span(fields: JsonObject) -> Span:
    return parsed(with_span(fields)).resource_spans[0].scope_spans[0].spans[0]


def read_value(value: JsonObject | None) -> AnyValue:
    return read_span({"attributes": [{"key": "k", "value": value}]}).attributes[0].value


def test_the_real_spans_give_the_bytes_of_the_library(astronomy_requests: list[bytes]) -> None:
    for body in astronomy_requests[::20]:
        request = ExportTraceServiceRequest.FromString(body)
        assert json_to_protobuf(to_json(request)) == request.SerializeToString()


@given(requests())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_any_request_comes_through(request: Request) -> None:
    message = ExportTraceServiceRequest.FromString(request.received)
    message.DiscardUnknownFields()
    clear_pointers(message)
    assert json_to_protobuf(to_json(message)) == message.SerializeToString()


def clear_pointers(message: Message) -> None:
    """Clear what points into a profile's table of strings: it is no part of a trace's JSON."""
    if isinstance(message, AnyValue) and message.HasField("string_value_strindex"):
        message.ClearField("string_value_strindex")
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                clear_pointers(inner)


def test_every_field_is_read() -> None:
    attributes = [{"key": "k", "value": {"stringValue": "v"}}]
    document = {
        "resourceSpans": [
            {
                "resource": {
                    "attributes": attributes,
                    "droppedAttributesCount": 1,
                    "entityRefs": [
                        {
                            "schemaUrl": "u",
                            "type": "service",
                            "idKeys": ["a"],
                            "descriptionKeys": ["b"],
                        }
                    ],
                },
                "scopeSpans": [
                    {
                        "scope": {
                            "name": "n",
                            "version": "1",
                            "attributes": attributes,
                            "droppedAttributesCount": 2,
                        },
                        "spans": [
                            {
                                "traceId": "0102030405060708090a0b0c0d0e0f10",
                                "spanId": "0102030405060708",
                                "traceState": "ot=th:8",
                                "parentSpanId": "1112131415161718",
                                "flags": 257,
                                "name": "GET /",
                                "kind": 2,
                                "startTimeUnixNano": "1700000000000000001",
                                "endTimeUnixNano": "1700000000000000002",
                                "attributes": attributes,
                                "droppedAttributesCount": 3,
                                "events": [
                                    {
                                        "timeUnixNano": "5",
                                        "name": "e",
                                        "attributes": attributes,
                                        "droppedAttributesCount": 4,
                                    }
                                ],
                                "droppedEventsCount": 5,
                                "links": [
                                    {
                                        "traceId": "0102030405060708090a0b0c0d0e0f10",
                                        "spanId": "0102030405060708",
                                        "traceState": "a=b",
                                        "attributes": attributes,
                                        "droppedAttributesCount": 6,
                                        "flags": 1,
                                    }
                                ],
                                "droppedLinksCount": 7,
                                "status": {"message": "m", "code": 2},
                            }
                        ],
                        "schemaUrl": "s",
                    }
                ],
                "schemaUrl": "r",
            }
        ]
    }
    assert otlp_json(parsed(document)) == document


@pytest.mark.parametrize("document", [{}, {"resourceSpans": []}, {"resourceSpans": None}])
def test_a_request_without_spans_is_empty(document: JsonObject) -> None:
    assert json_to_protobuf(json.dumps(document).encode()) == b""


def test_ids_are_hexadecimal_in_either_case() -> None:
    span = read_span({"traceId": "ABcd" * 8, "spanId": "ffFF" * 4, "parentSpanId": ""})
    assert (span.trace_id, span.span_id, span.parent_span_id) == (
        b"\xab\xcd" * 8,
        b"\xff" * 8,
        b"",
    )


@pytest.mark.parametrize("length", [1, 7, 15, 17, 32])
def test_ids_of_a_wrong_length_are_left_to_the_decoder(length: int) -> None:
    assert read_span({"traceId": "01" * length}).trace_id == b"\1" * length


@pytest.mark.parametrize(
    "text", ["xy" * 16, "abc", "0x01", "01 02", " 0102", "\u0660" * 16, "AQIDBAUGBwgJCgsMDQ4PEA=="]
)
@pytest.mark.parametrize("field", ["traceId", "spanId", "parentSpanId"])
def test_ids_that_are_not_hexadecimal_are_refused(field: str, text: str) -> None:
    path = rf"\$\.resourceSpans\[0\]\.scopeSpans\[0\]\.spans\[0\]\.{field}: "
    with pytest.raises(UndecodableError, match=path):
        read_span({field: text})


def test_names_are_lower_camel_case_and_unknown_ones_are_ignored() -> None:
    span = read_span(
        {"trace_id": "00", "TraceId": "00", "span_id": "00", "name": "n", "later": [{"a": 1}]}
    )
    assert span == Span(name="n")


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (5, 5),
        ("5", 5),
        ("0005", 5),
        (5.0, 5),
        (1.7e18, 1_700_000_000_000_000_000),
        (2**64 - 1, 2**64 - 1),
        (str(2**64 - 1), 2**64 - 1),
        (None, 0),
    ],
)
def test_unsigned_integers_are_strings_or_numbers(given: object, number: int) -> None:
    assert read_span({"startTimeUnixNano": given}).start_time_unix_nano == number


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, -(2**63), 2**53 + 1])
def test_signed_integers_are_strings_or_numbers(number: int) -> None:
    assert read_value({"intValue": number}).int_value == number
    assert read_value({"intValue": str(number)}).int_value == number


@pytest.mark.parametrize(
    "given",
    [-1, 2**64, "-1", "1.5", 1.5, "", " 1", "1_000", "٣", "1e3", "NaN", True, [], {}, "9" * 400],
)
def test_what_is_no_unsigned_integer_is_refused(given: object) -> None:
    with pytest.raises(UndecodableError, match="startTimeUnixNano"):
        read_span({"startTimeUnixNano": given})


@pytest.mark.parametrize("given", ["2", "SPAN_KIND_SERVER", 2.5, True, 2**31, [2]])
def test_enums_are_integers_only(given: object) -> None:
    with pytest.raises(UndecodableError, match="kind"):
        read_span({"kind": given})
    with pytest.raises(UndecodableError, match=r"status.code"):
        read_span({"status": {"code": given}})


def test_enum_numbers_that_are_not_known_go_on_as_they_came() -> None:
    span = read_span({"kind": 99, "status": {"code": -5}})
    assert (span.kind, span.status.code) == (99, -5)


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (1.5, 1.5),
        (1, 1.0),
        (-0.0, -0.0),
        ("1.5", 1.5),
        ("-1e-3", -0.001),
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
        (5e-324, 5e-324),
    ],
)
def test_doubles_are_numbers_or_strings(given: object, number: float) -> None:
    value = read_value({"doubleValue": given})
    assert value.double_value.hex() == number.hex()
    assert math.isnan(read_value({"doubleValue": "NaN"}).double_value)


@pytest.mark.parametrize("given", ["nan", "inf", "1,5", "", "0x10", "1e400", "1_0", False])
def test_what_is_no_double_is_refused(given: object) -> None:
    with pytest.raises(UndecodableError, match="doubleValue"):
        read_value({"doubleValue": given})


@pytest.mark.parametrize("text", ["+/8=", "-_8=", "+/8", "-_8"])
def test_bytes_are_base64_in_either_alphabet(text: str) -> None:
    assert read_value({"bytesValue": text}).bytes_value == b"\xfb\xff"


@pytest.mark.parametrize("text", ["a", "é", "ab c", "a=b="])
def test_what_is_no_base64_is_refused(text: str) -> None:
    path = r"spans\[0\]\.attributes\[0\]\.value\.bytesValue"
    with pytest.raises(UndecodableError, match=path):
        read_value({"bytesValue": text})


def test_every_kind_of_value() -> None:
    inner = [{"stringValue": "s"}, {}, {"arrayValue": {}}, {"kvlistValue": {}}]
    document = {
        "kvlistValue": {
            "values": [{"key": "a", "value": {"arrayValue": {"values": inner}}}, {"key": "b"}]
        }
    }
    assert MessageToDict(read_value(document)) == document
    assert read_value({"stringValue": ""}).WhichOneof("value") == "string_value"
    assert read_value({"boolValue": False}).WhichOneof("value") == "bool_value"
    assert read_value({}).WhichOneof("value") is None


def test_a_value_of_two_kinds_is_refused() -> None:
    with pytest.raises(UndecodableError, match="several kinds: string_value, int_value"):
        read_value({"stringValue": "a", "intValue": 1})


def test_null_is_unset_for_every_field() -> None:
    span = Span.DESCRIPTOR
    nulls = {field.camelcase_name: None for field in span.fields}
    assert read_span(nulls) == Span()
    assert read_value({"stringValue": None, "intValue": "1"}).int_value == 1
    nothing: JsonObject = {"resource": None, "scopeSpans": None, "schemaUrl": None}
    assert len(parsed({"resourceSpans": [nothing]}).resource_spans) == 1


def test_of_a_repeated_name_the_last_counts() -> None:
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a","name":"b"}]}]}]}'
    assert parsed(body).resource_spans[0].scope_spans[0].spans[0].name == "b"


def span_text(fields: bytes) -> bytes:
    return b'{"resourceSpans":[{"scopeSpans":[{"spans":[{' + fields + b"}]}]}]}"


def value_text(depth: int) -> bytes:
    begin = b'{"arrayValue":{"values":[' * depth
    return span_text(b'"attributes":[{"value":' + begin + b"]}}" * depth + b"}]")


@pytest.mark.parametrize(
    "body",
    {
        "nothing": b"",
        "white space": b" ",
        "an array": b"[]",
        "a number": b"1",
        "null": b"null",
        "a string": b'"resourceSpans"',
        "not closed": b'{"resourceSpans":[',
        "more after the end": b"{}{}",
        "a byte-order mark": b"\xef\xbb\xbf{}",
        "UTF-16": '{"resourceSpans":[]}'.encode("utf-16"),
        "10,000 brackets": b"[" * 10_000,
        "10,000 brackets in an unknown field": b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        "10,000 brackets in a span": span_text(b'"x":' + b"[" * 10_000 + b"]" * 10_000),
        "10,000 arrays in arrays": value_text(10_000),
        "a number of 400 digits as a time": span_text(b'"startTimeUnixNano":' + b"9" * 400),
        "a number of 400 digits as a kind": span_text(b'"kind":' + b"9" * 400),
        "a number of 10,000 digits": span_text(b'"startTimeUnixNano":' + b"9" * 10_000),
        "a double of 400 digits": span_text(
            b'"attributes":[{"value":{"doubleValue":' + b"9" * 400 + b"}}]"
        ),
        "NaN without quotes": span_text(b'"attributes":[{"value":{"doubleValue":NaN}}]'),
        "invalid UTF-8 in a name": span_text(b'"name":"\xff"'),
        "a surrogate as UTF-8": span_text(b'"name":"\xed\xa0\x80"'),
        "a lone high surrogate": span_text(b'"name":"\\ud800 and more"'),
        "a lone high surrogate at the end": span_text(b'"name":"\\ud800"'),
        "a lone low surrogate": span_text(b'"name":"\\udc00"'),
        "a lone low surrogate in a key": span_text(b'"attributes":[{"key":"\\udc00"}]'),
        "a raw NUL": span_text(b'"name":"a\0b"'),
        "null for a span": b'{"resourceSpans":[{"scopeSpans":[{"spans":[null]}]}]}',
        "a number for a span": b'{"resourceSpans":[{"scopeSpans":[{"spans":[1]}]}]}',
        "an object for spans": b'{"resourceSpans":[{"scopeSpans":[{"spans":{}}]}]}',
        "a broken span": b'{"resourceSpans":[{"scopeSpans":[{"spans":[{]}]}]}',
    }.values(),
)
def test_bad_json_is_refused_and_nothing_else_is_raised(body: bytes) -> None:
    with pytest.raises(UndecodableError, match="JSON body"):
        json_to_protobuf(body)


def test_values_too_deep_for_the_library_are_refused_in_the_end() -> None:
    with pytest.raises(UndecodableError):
        ReferenceDecoder(()).decode(json_to_protobuf(value_text(100)))


def test_an_escaped_nul_and_a_pair_of_surrogates_are_text() -> None:
    body = span_text(b'"name":"a\\u0000b\\ud83e\\udd80"')
    assert parsed(body).resource_spans[0].scope_spans[0].spans[0].name == "a\0b\U0001f980"


def test_every_prefix_of_a_request_is_refused() -> None:
    body = json.dumps(with_span({"name": "é", "traceId": "01" * 16, "kind": 1})).encode()
    for length in range(len(body)):
        with pytest.raises(UndecodableError):
            json_to_protobuf(body[:length])


def test_the_message_leads_to_the_place() -> None:
    document = {
        "resourceSpans": [
            {},
            {"scopeSpans": [{"spans": [{}, {"events": [{}, {"timeUnixNano": "x"}]}]}]},
        ]
    }
    where = r"\$\.resourceSpans\[1\]\.scopeSpans\[0\]\.spans\[1\]\.events\[1\]\.timeUnixNano: 'x'"
    with pytest.raises(UndecodableError, match=where):
        parsed(document)
    with pytest.raises(UndecodableError, match=r"spans\[0\]: Expected `array \| null`"):
        read_span({"events": {}})
    with pytest.raises(UndecodableError, match=r"\$\.resourceSpans\[0\]\.scopeSpans`"):
        parsed({"resourceSpans": [{"scopeSpans": 1}]})


def test_long_wrong_values_are_shown_short() -> None:
    with pytest.raises(UndecodableError) as refused:
        read_span({"traceId": "x" * 1_000_000})
    assert len(str(refused.value)) < 300
