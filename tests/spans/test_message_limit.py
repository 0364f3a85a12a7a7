"""How many messages a request may have, whatever its size."""

from __future__ import annotations

import tracemalloc

import pytest

from spanmill.errors import RequestError, TooManyMessagesError
from spanmill.spans import reference
from spanmill.spans.otlp_json import json_to_protobuf
from spanmill.spans.wire import MAX_MESSAGES
from spans.both_decoders import BothDecoders
from spans.generated import field

DECODER = BothDecoders(())
EMPTY_SPAN = field(2, b"")

TOO_MANY = {
    "spans": field(1, field(2, EMPTY_SPAN * (MAX_MESSAGES - 1))),
    "spans of some scopes": field(1, field(2, EMPTY_SPAN * 1000) * (MAX_MESSAGES // 1001 + 1)),
    "scopes": field(1, field(2, b"") * MAX_MESSAGES),
    "scopes of some resources": field(1, field(2, b"") * 1000) * (MAX_MESSAGES // 1001 + 1),
    "resources": field(1, b"") * (MAX_MESSAGES + 1),
    "scopes before OTLP 0.15": field(1, field(1000, b"") * MAX_MESSAGES),
    "spans behind what only the library reads": (
        field(1, field(1000, b"\xff")) + field(1, field(2, EMPTY_SPAN * MAX_MESSAGES))
    ),
}


def json_of(spans: int, scopes: int = 1, resources: int = 1) -> bytes:
    scope = b'{"spans":[%s]}' % b",".join([b"{}"] * spans)
    resource = b'{"scopeSpans":[%s]}' % b",".join([scope] * scopes)
    return b'{"resourceSpans":[%s]}' % b",".join([resource] * resources)


def test_as_many_messages_as_allowed_are_read() -> None:
    decoded = DECODER.decode(field(1, field(2, EMPTY_SPAN * (MAX_MESSAGES - 2))))
    assert decoded.rejected_spans == MAX_MESSAGES - 2


@pytest.mark.parametrize("what", [key for key in TOO_MANY if "library" not in key])
def test_one_more_is_refused_as_a_whole(what: str) -> None:
    message = "^the request has more than 262144 spans, scopes and resources$"
    with pytest.raises(TooManyMessagesError, match=message):
        DECODER.decode(TOO_MANY[what])


@pytest.mark.parametrize("body", TOO_MANY.values(), ids=TOO_MANY.keys())
def test_the_library_builds_no_objects_of_too_many(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(_body: bytes) -> None:
        raise AssertionError("the library was asked")

    monkeypatch.setattr(reference, "_parse", parse)
    with pytest.raises(RequestError):
        DECODER.decode(body)


@pytest.mark.parametrize("kind", ["compiled", "reference"])
def test_millions_cost_no_more_than_the_limit(kind: str) -> None:
    decoder = DECODER.of_kind(kind)
    body = field(1, field(2, b"") * 3_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(TooManyMessagesError):
            decoder.decode(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MAX_MESSAGES * 200


@pytest.mark.parametrize(
    ("spans", "scopes", "resources"),
    [(MAX_MESSAGES - 1, 1, 1), (0, MAX_MESSAGES, 1), (0, 0, MAX_MESSAGES + 1), (100, 100, 26)],
)
def test_json_has_the_same_limit(
    spans: int, scopes: int, resources: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(*_: object) -> None:
        raise AssertionError("it was converted")

    monkeypatch.setattr("spanmill.spans.json_request._envelopes", convert)
    with pytest.raises(TooManyMessagesError):
        json_to_protobuf(json_of(spans, scopes, resources))


def test_json_at_the_limit_is_read() -> None:
    body = json_to_protobuf(json_of(99, 100, 26))
    assert DECODER.decode(body).rejected_spans == 99 * 100 * 26
